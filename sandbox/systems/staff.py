"""Staff Management: login, permissions and payment limits of the staff."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.people import Person
from sandbox.web import (
    ERRORS,
    ApiKey,
    Body,
    Json,
    Refused,
    equal_in_constant_time,
    read,
    unavailable,
)
from sandbox.world import World


class Login(Body):
    staff_id: str
    # Spaces are part of a password.
    password: Annotated[str, StringConstraints(strip_whitespace=False)]


class Staff:
    name = "staff"

    def __init__(self, world: World) -> None:
        self.people = world.people
        self.key = world.settings.staff.api_key.get_secret_value()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/staff/authenticate", self.authenticate, methods=["POST"]),
                Route("/api/staff/{staff_id}", self.person),
            ],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return unavailable(self.name)

    async def authenticate(self, request: Request) -> Response:
        login = read(Login, await request.body())
        person = self.people.find(login.staff_id)
        # An unknown staff id and a wrong password get the same answer.
        if (
            not equal_in_constant_time(person.password if person else "", login.password)
            or person is None
        ):
            raise Refused(401, "INVALID_CREDENTIALS", "the staff id or the password is wrong")
        return JSONResponse(
            staff_profile(person) | {"fpt_pay_token": self.people.wallet_token(person)}
        )

    async def person(self, request: Request) -> Response:
        person = self.people.find(request.path_params["staff_id"])
        if person is None:
            raise Refused(404, "NOT_FOUND", "no such member of staff")
        return JSONResponse(staff_profile(person))


def staff_profile(person: Person) -> Json:
    answer: Json = {
        "staff_id": person.id,
        "name": person.name,
        "role": person.role,
        "payment_limits": {
            "daily_limit": person.daily_limit,
            "per_transaction_limit": person.per_transaction_limit,
            "used_today": person.used_today,
        },
        "permissions": list(person.permissions),
    }
    return answer | ({"team": person.team} if person.team else {})
