"""Sessions: login, refresh, logout and the caller's own data."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import limits, staff
from resolvers import limits as limit_operations
from resolvers import sessions as resolve
from schema.common import Info, Refusal, as_payload
from schema.graphql.publish import publishes
from schema.limits import Limit

strawberry.enum(staff.Role)


@publishes(staff.Staff, description="A member of staff, as Staff Management has them.")
class Staff:
    staff_id: strawberry.ID
    name: str
    role: staff.Role
    permissions: list[str]
    team: str | None

    @strawberry.field(
        graphql_type=list[Limit], description="How much this member of staff may still take."
    )
    async def limits(
        self, info: Info, root: strawberry.Parent[staff.Staff]
    ) -> tuple[limits.Limit, ...]:
        return await limit_operations.of_staff(info.context, root.staff_id)


@publishes(resolve.Login, name="Session", description="The tokens of a login.")
class Session:
    access_token: str
    refresh_token: str | None
    expires_at: datetime
    staff: Staff


@strawberry.input
class LoginInput:
    staff_id: strawberry.ID
    password: str


@strawberry.type
class SessionPayload:
    session: Session | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class LogoutPayload:
    ok: bool


@strawberry.type
class SessionQuery:
    @strawberry.field(graphql_type=Staff, description="The caller.")
    async def me(self, info: Info) -> staff.Staff:
        return await resolve.me(info.context)


@strawberry.type
class SessionMutation:
    @strawberry.mutation(description="Open a session with a staff number and a password.")
    async def login(self, info: Info, input: LoginInput) -> SessionPayload:
        work = resolve.login(info.context, staff_id=input.staff_id, password=input.password)
        return await as_payload(SessionPayload, "session", work)

    @strawberry.mutation(
        description="Replace both tokens. A refresh token works once; using it again ends the"
        " session."
    )
    async def refresh_session(self, info: Info, refresh_token: str) -> SessionPayload:
        work = resolve.refresh(info.context, refresh_token=refresh_token)
        return await as_payload(SessionPayload, "session", work)

    @strawberry.mutation(description="End the session; its tokens become invalid at once.")
    async def logout(self, info: Info) -> LogoutPayload:
        await resolve.logout(info.context)
        return LogoutPayload(ok=True)
