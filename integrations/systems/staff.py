"""Staff Management: identity, permissions and payment limits of the staff."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from domain.identifiers import staff_number
from domain.limits import StaffLimits
from domain.refusals import NotFound
from domain.sentences import Noun
from domain.staff import InvalidCredentials, Role, Staff
from integrations.http.client import Upstream
from integrations.http.failures import Unusable
from integrations.http.messages import Answer, Request
from integrations.http.parsing import (
    Amount,
    Text,
    WireModel,
    is_path_segment,
    parse_success,
    path_segment,
    raising_unavailable,
)

SYSTEM = "Staff Management"


class _Limits(WireModel):
    daily_limit: Amount
    per_transaction_limit: Amount
    used_today: Amount


class _Staff(WireModel):
    staff_id: Text
    name: Text
    # Roles of staff only: merchants and services are not in Staff Management.
    role: Literal["TIN_PNC", "SUPERVISOR", "CASHIER", "FINANCE", "ADMIN", "AUDITOR"]
    payment_limits: _Limits
    permissions: tuple[str, ...]
    team: str | None = None


class _Authenticated(_Staff):
    # The pattern makes the token safe in a header.
    fpt_pay_token: Annotated[str, Field(pattern=r"^[!-~]{1,4096}$")] | None = Field(
        default=None, repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A member of staff who sent the right password. `fpt_pay_token` is their wallet's secret."""

    staff: Staff
    limits: StaffLimits
    fpt_pay_token: str | None = field(repr=False)


class StaffManagement:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def authenticate(self, staff_id: str, password: str) -> Authenticated:
        """Raise InvalidCredentials alike for an unknown name and a wrong password."""
        if not is_path_segment(staff_id):  # no member of staff has such an id
            raise InvalidCredentials

        def read(answer: Answer) -> Authenticated:
            if answer.status == 401:
                raise InvalidCredentials
            staff = parse_success(_Authenticated, answer)
            _check_staff(staff, staff_id)
            return Authenticated(
                staff=_staff(staff), limits=_limits(staff), fpt_pay_token=staff.fpt_pay_token
            )

        request = Request(
            operation="authenticate",
            method="POST",
            path="/api/staff/authenticate",
            body={"staff_id": staff_id, "password": password},
            subject=staff_id,
            repeatable=True,
        )
        with raising_unavailable(SYSTEM):
            return await self._http.call(request, read)

    async def staff(self, staff_id: str) -> tuple[Staff, StaffLimits]:
        """Return a member of staff and their limits. Raises NotFound or UpstreamUnavailable."""
        id = path_segment(staff_id, noun=Noun.STAFF)

        def read(answer: Answer) -> tuple[Staff, StaffLimits]:
            if answer.status == 404:
                raise NotFound.of(Noun.STAFF, id=id)
            staff = parse_success(_Staff, answer)
            _check_staff(staff, id)
            return _staff(staff), _limits(staff)

        request = Request(
            operation="staff",
            method="GET",
            path=f"/api/staff/{id}",
            subject=id,
            repeatable=True,
        )
        with raising_unavailable(SYSTEM):
            return await self._http.call(request, read)


def _staff(staff: _Staff) -> Staff:
    return Staff(
        staff_id=staff_number(staff.staff_id),
        name=staff.name,
        role=Role(staff.role),
        permissions=staff.permissions,
        team=staff.team,
    )


def _limits(staff: _Staff) -> StaffLimits:
    limits = staff.payment_limits
    return StaffLimits(
        per_transaction=limits.per_transaction_limit,
        daily=limits.daily_limit,
        used_today=limits.used_today,
    )


def _check_staff(answered: _Staff, staff_id: str) -> None:
    """Raise Unusable for an answer about another person."""
    if staff_number(answered.staff_id) != staff_id:
        raise Unusable("the answer is about another person")
