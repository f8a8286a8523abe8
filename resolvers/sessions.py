"""Sessions: members of staff log in by password, programs by their secret."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, sessions, staff
from db.audit import AuditEvent
from db.sessions import Session
from db.transaction import transaction
from domain.identifiers import staff_number
from domain.refusals import NotFound
from domain.staff import Actor, InvalidCredentials, Role, Staff, Unauthenticated
from resolvers import tokens
from resolvers.audit import audited
from resolvers.context import Context
from resolvers.limits import record_reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A short-lived access token, and the refresh token for the next one (None for a program)."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime
    staff: Staff


async def login(context: Context, *, staff_id: str, password: str) -> Login:
    """
    Check the password with Staff Management, and open a session.

    Raises InvalidCredentials, UpstreamUnavailable, and TooManyAttempts after wrong passwords.
    """
    return await _login_as(context, staff_id=staff_number(staff_id), password=password)


@audited("login", requester="staff_id")
async def _login_as(context: Context, *, staff_id: str, password: str) -> Login:
    now = await context.clock()
    async with context.login_throttle.guess(context.client_ip, staff_id, now):
        answer = await context.staff_management.authenticate(staff_id, password)
    session_id = context.ids.record("SES")
    refresh_token = tokens.refresh_token(context, session_id)
    session = Session(
        id=session_id,
        staff=answer.staff,
        expires_at=now + context.terms.session_lifetime,
        refresh_hash=tokens.digest(refresh_token),
    )
    async with transaction():
        await staff.upsert(answer.staff, now)
        await record_reported(context, answer.staff.staff_id, answer.limits, now)
        await sessions.add(
            session,
            wallet_token=(
                context.keys.vault.seal(answer.fpt_pay_token, owner=session.id)
                if answer.fpt_pay_token
                else None
            ),
            now=now,
        )
        await audit.append(
            AuditEvent(
                at=now,
                actor=answer.staff.staff_id,
                action="login",
                request_id=context.request_id,
            )
        )
    return _login(context, session, refresh_token, now)


@audited("refreshSession")
async def refresh(context: Context, *, refresh_token: str) -> Login:
    """
    Replace both tokens, with the role and limits as Staff Management gives them now.

    A refresh token that was replaced before ends its session, because two parties hold it. Raises
    InvalidCredentials, UpstreamUnavailable.
    """
    now = await context.clock()
    session_id = tokens.session_of(context, refresh_token)
    if session_id is None:
        async with context.login_throttle.guess(context.client_ip, "refresh token", now):
            raise InvalidCredentials
    session = await sessions.by_id(session_id, now)
    if session is None:
        raise InvalidCredentials
    old_hash = tokens.digest(refresh_token)
    if session.refresh_hash != old_hash:
        await _end(context, session, "reused", now)
        raise InvalidCredentials
    try:
        person, given_limits = await context.staff_management.staff(session.staff.staff_id)
    except NotFound:
        await _end(context, session, "gone", now)
        raise InvalidCredentials from None
    new_token = tokens.refresh_token(context, session.id)
    new_hash = tokens.digest(new_token)
    async with transaction():
        if not await sessions.rotate(session.id, old_hash=old_hash, new_hash=new_hash):
            raise InvalidCredentials
        await staff.upsert(person, now)
        await record_reported(context, person.staff_id, given_limits, now)
        await audit.append(
            AuditEvent(
                at=now,
                actor=person.staff_id,
                action="refreshSession",
                request_id=context.request_id,
            )
        )
    return _login(context, replace(session, staff=person), new_token, now)


async def _end(context: Context, session: Session, why: str, now: datetime) -> None:
    async with transaction():
        await sessions.end(session.id, now)
        await audit.append(
            AuditEvent(
                at=now,
                actor=session.staff.staff_id,
                action="endSession",
                request_id=context.request_id,
                details={"why": why},
            )
        )
    context.open_sessions.forget(session.id)


@audited("logout")
async def logout(context: Context) -> None:
    """End the session, whose tokens are refused from now on. Raises Unauthenticated."""
    if context.actor is None:
        raise Unauthenticated
    now = await context.clock()
    async with transaction():
        if context.actor.session is not None:
            await sessions.end(context.actor.session, now)
        await audit.append(
            AuditEvent(
                at=now, actor=context.actor.id, action="logout", request_id=context.request_id
            )
        )
    if context.actor.session is not None:
        context.open_sessions.forget(context.actor.session)


async def me(context: Context) -> Staff:
    """Return the actor as Staff Management last described them. Raises Unauthenticated."""
    if context.actor is None:
        raise Unauthenticated
    actor = context.actor
    return await staff.by_id(actor.id) or Staff(
        staff_id=actor.id, name=actor.name, role=actor.role, permissions=actor.permissions
    )


async def identify(context: Context, token: str) -> tuple[Actor, datetime]:
    """Return the actor of *token* and its expiry. Raises Unauthenticated, after a logout too."""
    actor, expires_at = tokens.read(context, token, await context.clock.recent())
    if actor.session is not None and not await context.open_sessions.is_open(
        context.clock, actor.session, until=expires_at
    ):
        raise Unauthenticated
    return actor, expires_at


async def is_open(context: Context) -> bool:
    """Return whether the actor's session is still open; another process's logout shows in 1 s."""
    session = context.actor.session if context.actor else None
    if session is None or context.expires_at is None:
        return session is None
    return await context.open_sessions.is_open(context.clock, session, until=context.expires_at)


async def require_open(context: Context) -> None:
    """
    Read the actor's session in the transaction of a command that moves money.

    Raises Unauthenticated where it has ended. Commands with a key have it checked by their claim.
    """
    session = context.actor.session if context.actor else None
    if session is not None and not await sessions.is_open(session, await context.clock.recent()):
        raise Unauthenticated


@audited("token", requester="client_id")
async def client_credentials(context: Context, *, client_id: str, secret: str) -> Login:
    """Return a token for a program. Raises InvalidCredentials, TooManyAttempts."""
    now = await context.clock()
    async with context.login_throttle.guess(context.client_ip, client_id, now):
        client = await sessions.api_client(client_id)
        stored_hash = client.secret_hash if client else bytes(32)
        if not hmac.compare_digest(stored_hash, tokens.digest(secret)) or client is None:
            raise InvalidCredentials
    actor = Actor(id=client.client_id, name=client.name, role=client.role)
    access_token, expires_at = tokens.mint(context, actor, now)
    return Login(
        access_token=access_token,
        refresh_token=None,
        expires_at=expires_at,
        staff=Staff(staff_id=client.client_id, name=client.name, role=client.role),
    )


async def register_api_client(
    context: Context, *, client_id: str, name: str, role: Role, secret: str
) -> None:
    """Add a program unless the database has it; development starts with these."""
    client = sessions.ApiClient(
        client_id=client_id, name=name, role=role, secret_hash=tokens.digest(secret)
    )
    await sessions.register_api_client(client, await context.clock())


async def revoke_known_secret(context: Context, *, client_id: str, secret: str) -> None:
    """Invalidate a program's secret where the database has this publicly known one."""
    await sessions.revoke_known_secret(client_id, tokens.digest(secret))


def _login(context: Context, session: Session, refresh_token: str, now: datetime) -> Login:
    actor = Actor(
        id=session.staff.staff_id,
        name=session.staff.name,
        role=session.staff.role,
        permissions=session.staff.permissions,
        team=session.staff.team,
        session=session.id,
    )
    access_token, expires_at = tokens.mint(context, actor, now)
    return Login(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=expires_at,
        staff=session.staff,
    )
