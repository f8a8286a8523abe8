"""Staff Management: identity, permissions and limits."""

from __future__ import annotations

from typing import Any

import pytest

from domain.limits import StaffLimits
from domain.refusals import UpstreamUnavailable
from domain.staff import InvalidCredentials, Role
from integrations.http.client import Upstream
from integrations.systems.staff import StaffManagement
from tests.support.gateways.counterpart import Counterpart, says

STAFF: dict[str, Any] = {
    "staff_id": "NV001",
    "name": "Tran Van B",
    "role": "TIN_PNC",
    "payment_limits": {
        "daily_limit": 10_000_000,
        "per_transaction_limit": 5_000_000,
        "used_today": 2_000_000,
    },
    "permissions": ["payment_processing"],
}


@pytest.fixture
def staff(http: Upstream) -> StaffManagement:
    return StaffManagement(http)


async def test_the_right_password_returns_staff_limits_and_wallet_token(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(STAFF | {"team": "HCM-1", "fpt_pay_token": "wallet-token"}))
    member = await staff.authenticate("NV001", "mobinetNV001")
    assert counterpart.seen[0].json == {"staff_id": "NV001", "password": "mobinetNV001"}
    assert (member.staff.role, member.staff.team) == (Role.TIN_PNC, "HCM-1")
    assert member.staff.permissions == ("payment_processing",)
    assert member.limits == StaffLimits(
        per_transaction=5_000_000, daily=10_000_000, used_today=2_000_000
    )
    assert member.fpt_pay_token == "wallet-token"
    assert "wallet-token" not in repr(member)


async def test_a_wrong_password_is_not_retried(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says({"error": {"code": "INVALID_CREDENTIALS", "message": "no"}}, 401))
    with pytest.raises(InvalidCredentials):
        await staff.authenticate("NV001", "guess")
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"staff_id": "AD001"},
        {"role": "MERCHANT"},
        {"role": "ROOT"},
        {"payment_limits": {"daily_limit": -1, "per_transaction_limit": 1, "used_today": 0}},
        {"payment_limits": {"daily_limit": 1e9, "per_transaction_limit": 1, "used_today": 0}},
        {"payment_limits": None},
        {"fpt_pay_token": "with\r\nX-Header: inside"},
    ],
    ids=str,
)
async def test_a_malformed_answer_is_refused(
    staff: StaffManagement, counterpart: Counterpart, changes: dict[str, Any]
) -> None:
    counterpart.always(says(STAFF | {"fpt_pay_token": "t"} | changes))
    with pytest.raises(UpstreamUnavailable):
        await staff.authenticate("NV001", "mobinetNV001")


async def test_limits_are_read_without_a_password(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(STAFF))
    member, limits = await staff.staff("NV001")
    assert (member.name, limits.used_today) == ("Tran Van B", 2_000_000)
