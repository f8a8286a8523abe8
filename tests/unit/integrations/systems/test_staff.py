"""Staff Management: who somebody is, what they may, and what is theirs to collect."""

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


async def test_the_right_password_gives_the_staff_their_limits_and_their_wallet(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(STAFF | {"team": "HCM-1", "fpt_pay_token": "wallet-token"}))
    who = await staff.authenticate("NV001", "mobinetNV001")
    assert counterpart.seen[0].json == {"staff_id": "NV001", "password": "mobinetNV001"}
    assert (who.staff.role, who.staff.team) == (Role.TIN_PNC, "HCM-1")
    assert who.staff.permissions == ("payment_processing",)
    assert who.limits == StaffLimits(
        per_transaction=5_000_000, daily=10_000_000, used_today=2_000_000
    )
    assert who.fpt_pay_token == "wallet-token"
    assert "wallet-token" not in repr(who)


async def test_a_wrong_password_is_not_tried_again(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says({"error": {"code": "INVALID_CREDENTIALS", "message": "no"}}, 401))
    with pytest.raises(InvalidCredentials):
        await staff.authenticate("NV001", "guess")
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize(
    "wrong",
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
async def test_staff_that_are_not_what_was_agreed_are_nobody(
    staff: StaffManagement, counterpart: Counterpart, wrong: dict[str, Any]
) -> None:
    counterpart.always(says(STAFF | {"fpt_pay_token": "t"} | wrong))
    with pytest.raises(UpstreamUnavailable):
        await staff.authenticate("NV001", "mobinetNV001")


async def test_limits_are_read_without_a_password(
    staff: StaffManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(STAFF))
    who, limits = await staff.staff("NV001")
    assert (who.name, limits.used_today) == ("Tran Van B", 2_000_000)
