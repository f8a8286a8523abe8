"""Staff Management: who somebody is, what they may do, and how much of their own money they may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from domain.identifiers import staff_number
from domain.limits import StaffLimits
from domain.refusals import NotFound
from domain.staff import InvalidCredentials, Role, Staff
from integrations.http.client import Answer, Unusable, Upstream
from integrations.http.parsing import (
    Amount,
    Text,
    Wire,
    expect,
    is_segment,
    or_unavailable,
    segment,
)

SYSTEM = "Staff Management"


class _Limits(Wire):
    daily_limit: Amount
    per_transaction_limit: Amount
    used_today: Amount


class _Staff(Wire):
    staff_id: Text
    name: Text
    # Those that it may give; a merchant or a service is never one of the staff.
    role: Literal["TIN_PNC", "SUPERVISOR", "CASHIER", "FINANCE", "ADMIN", "AUDITOR"]
    payment_limits: _Limits
    permissions: tuple[str, ...]
    team: str | None = None


class _Authenticated(_Staff):
    # It travels in a header.
    fpt_pay_token: Annotated[str, Field(pattern=r"^[!-~]{1,4096}$")] | None = Field(
        default=None, repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """Somebody who gave the right password. `fpt_pay_token` is their wallet's, and secret."""

    staff: Staff
    limits: StaffLimits
    fpt_pay_token: str | None = field(repr=False)


class StaffManagement:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def authenticate(self, staff_id: str, password: str) -> Authenticated:
        """Raises InvalidCredentials, which doesn't tell an unknown name from a wrong password."""
        if not is_segment(staff_id):  # nobody is called so
            raise InvalidCredentials

        def read(answer: Answer) -> Authenticated:
            if answer.status == 401:
                raise InvalidCredentials
            told = expect(_Authenticated, answer)
            _check_about(told, staff_id)
            return Authenticated(
                staff=_staff(told), limits=_limits(told), fpt_pay_token=told.fpt_pay_token
            )

        with or_unavailable(SYSTEM):
            return await self._http.call(
                "authenticate",
                "POST",
                "/api/staff/authenticate",
                body={"staff_id": staff_id, "password": password},
                read=read,
                repeatable=True,
                subject=staff_id,
            )

    async def staff(self, staff_id: str) -> tuple[Staff, StaffLimits]:
        """Raises NotFound."""
        id = segment(staff_id, what_vi="nhân viên", what_en="member of staff")

        def read(answer: Answer) -> tuple[Staff, StaffLimits]:
            if answer.status == 404:
                raise NotFound(what_vi="nhân viên", what_en="member of staff", id=id)
            told = expect(_Staff, answer)
            _check_about(told, id)
            return _staff(told), _limits(told)

        with or_unavailable(SYSTEM):
            return await self._http.call(
                "staff", "GET", f"/api/staff/{id}", read=read, repeatable=True, subject=id
            )


def _staff(told: _Staff) -> Staff:
    return Staff(
        staff_id=staff_number(told.staff_id),
        name=told.name,
        role=Role(told.role),
        permissions=told.permissions,
        team=told.team,
    )


def _limits(told: _Staff) -> StaffLimits:
    return StaffLimits(
        per_transaction=told.payment_limits.per_transaction_limit,
        daily=told.payment_limits.daily_limit,
        used_today=told.payment_limits.used_today,
    )


def _check_about(answer: _Staff, staff_id: str) -> None:
    """Raise Unusable for an answer about somebody else."""
    if staff_number(answer.staff_id) != staff_id:
        raise Unusable("somebody else's answer")
