"""The internal systems: what they tell is taken strictly, and their silence is never a fact."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.bills import Bill, BillStatus, Fee, Item, ItemType
from domain.customers import ContractStatus, Debt
from domain.limits import StaffLimits
from domain.methods import PaymentMethod
from domain.refusals import NotFound, UpstreamUnavailable
from domain.staff import InvalidCredentials, Role
from integrations.customer import CustomerManagement
from integrations.debt import DebtManagement
from integrations.http import Upstream
from integrations.revenue import Revenue
from integrations.staff import StaffManagement
from integrations.wire import Rejected
from tests.integrations import counterpart as they
from tests.integrations.counterpart import Act, Counterpart, says

CONTRACT = "SGFDN1015"

BILL: dict[str, Any] = {
    "bill_number": "U23SG0073526",
    "period_from": "2025-06-01",
    "period_to": "2025-06-30",
    "amount": 200_000,
    "content": "Cước Internet 2025-06",
    "issue_date": "2025-07-01",
    "status": "unpaid",
}
FEE: dict[str, Any] = {
    "fee_id": "FEE_1",
    "content": "Phí hoà mạng",
    "amount": 300_000,
    "status": "paid",
}
CUSTOMER: dict[str, Any] = {
    "customer_id": "CUST_001",
    "contract_number": CONTRACT,
    "name": "Nguyen Van A",
    "phone_numbers": [
        {"number": "0987654321", "type": "primary", "has_hifpt": True, "is_messaging": True}
    ],
    "contract_status": "active",
    "service_address": "123 ABC Street",
}
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


def bills(*bills: dict[str, Any], contract: str = CONTRACT) -> Act:
    return says({"contract_number": contract, "bills": list(bills)})


@pytest.fixture
def revenue(http: Upstream) -> Revenue:
    return Revenue(http)


@pytest.fixture
def staff(http: Upstream) -> StaffManagement:
    return StaffManagement(http)


@pytest.fixture
def debt(http: Upstream) -> DebtManagement:
    return DebtManagement(http)


@pytest.fixture
async def customers(http: Upstream) -> AsyncIterator[CustomerManagement]:
    customers = CustomerManagement(http, keep=0.2)
    yield customers
    await customers.aclose()


# Revenue Management


async def test_bills_and_fees_are_read_as_they_are_told(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(bills(BILL), says({"contract_number": CONTRACT, "fees": [FEE]}))
    assert await revenue.bills(CONTRACT) == (
        Bill(
            bill_number="U23SG0073526",
            period_from=date(2025, 6, 1),
            period_to=date(2025, 6, 30),
            amount=200_000,
            content="Cước Internet 2025-06",
            issue_date=date(2025, 7, 1),
            status=BillStatus.UNPAID,
        ),
    )
    assert await revenue.fees(CONTRACT) == (
        Fee(fee_id="FEE_1", content="Phí hoà mạng", amount=300_000, status=BillStatus.PAID),
    )
    assert [seen.path for seen in counterpart.seen] == [
        f"/api/bills/{CONTRACT}",
        f"/api/fees/{CONTRACT}",
    ]


async def test_past_payments_carry_their_moment(revenue: Revenue, counterpart: Counterpart) -> None:
    payment = {
        "transaction_id": "TXN_1",
        "paid_at": "2025-07-01T10:00:00+07:00",
        "amount": 1,
        "method": "cash",
    }
    counterpart.will(says({"contract_number": CONTRACT, "payments": [payment]}))
    (past,) = await revenue.history(CONTRACT)
    assert past.paid_at == datetime(2025, 7, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 200_000.0},
        {"amount": "200000"},
        {"amount": True},
        {"amount": -1},
        {"amount": 2**53},
        {"amount": None},
        {"status": "cancelled"},
        {"period_to": "2025-06-31"},
        {"bill_number": ""},
    ],
    ids=str,
)
async def test_a_bill_that_is_not_what_was_agreed_is_no_bill(
    revenue: Revenue, counterpart: Counterpart, wrong: dict[str, Any]
) -> None:
    counterpart.always(bills(BILL | wrong))
    with pytest.raises(UpstreamUnavailable):
        await revenue.bills(CONTRACT)


@pytest.mark.parametrize(
    "act",
    [bills(BILL, contract="SGFDN2000"), bills(BILL, BILL)],
    ids=["another contract's", "one bill twice"],
)
async def test_an_answer_to_another_question_is_no_answer(
    revenue: Revenue, counterpart: Counterpart, act: Act
) -> None:
    counterpart.always(act)
    with pytest.raises(UpstreamUnavailable):
        await revenue.bills(CONTRACT)


async def test_a_hiccup_is_not_seen_for_bills_may_be_asked_for_again(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(they.server_error, they.reset, they.truncated, bills(BILL))
    assert len(await revenue.bills(CONTRACT)) == 1


@pytest.mark.parametrize("number", ["..", "a/b", "", "a?b=c", "x" * 65, "Á", "%2e%2e"])
async def test_a_contract_number_that_no_path_can_hold_exists_nowhere(
    revenue: Revenue, counterpart: Counterpart, number: str
) -> None:
    with pytest.raises(NotFound):
        await revenue.bills(number)
    assert not counterpart.seen


async def record(revenue: Revenue) -> None:
    await revenue.record(
        transaction_id="TXN_1",
        contract_number=CONTRACT,
        method=PaymentMethod.VNPAY_QR,
        paid_at=datetime(2025, 7, 29, 3, tzinfo=UTC),
        items=[Item(type=ItemType.BILL, id="U23SG0073526", amount=200_000)],
        staff_id="NV001",
    )


async def test_a_record_is_repeated_under_its_key_until_it_is_heard(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(they.reset, they.server_error, says({"status": "recorded"}, 201))
    await record(revenue)
    assert {seen.headers["idempotency-key"] for seen in counterpart.seen} == {"TXN_1"}
    assert counterpart.seen[0].json == {
        "transaction_id": "TXN_1",
        "contract_number": CONTRACT,
        "method": "vnpay_qr",
        "paid_at": "2025-07-29T03:00:00+00:00",
        "items": [{"type": "bill", "id": "U23SG0073526", "amount": 200_000}],
        "staff_id": "NV001",
    }


async def test_a_definite_no_to_a_record_names_the_reason(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "ALREADY_PAID", "message": "paid before"}}, 409))
    with pytest.raises(Rejected) as no:
        await record(revenue)
    assert (no.value.code, no.value.text) == ("ALREADY_PAID", "paid before")
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize("status", [401, 403, 429, 302])
async def test_a_no_that_is_not_about_the_record_can_be_tried_again(
    revenue: Revenue, counterpart: Counterpart, status: int
) -> None:
    counterpart.always(says({}, status))
    with pytest.raises(UpstreamUnavailable):
        await record(revenue)


# What all of them do alike


ASKS: dict[str, Callable[[Upstream], Awaitable[object]]] = {
    "bills": lambda http: Revenue(http).bills(CONTRACT),
    "fees": lambda http: Revenue(http).fees(CONTRACT),
    "history": lambda http: Revenue(http).history(CONTRACT),
    "debt": lambda http: DebtManagement(http).debt(CONTRACT),
    "staff": lambda http: StaffManagement(http).staff("NV001"),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_unknown_is_not_found_and_silence_is_not(
    ask: Callable[[Upstream], Awaitable[object]], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "NOT_FOUND", "message": "no"}}, 404))
    with pytest.raises(NotFound):
        await ask(http)
    counterpart.always(they.server_error)
    for _ in range(3):  # the last one with the breaker open
        with pytest.raises(UpstreamUnavailable):
            await ask(http)


# Customer Management


async def test_a_customer_is_asked_for_once_in_five_minutes(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    assert customer.contract_status is ContractStatus.ACTIVE
    assert customer.phone_numbers[0].number == "0987654321"
    assert customer.email is None
    assert await customers.customer(CONTRACT) == customer
    assert len(counterpart.seen) == 1


async def test_many_who_ask_at_once_wait_for_one_answer(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    await asyncio.gather(*[customers.customer(CONTRACT) for _ in range(50)])
    assert len(counterpart.seen) == 1


async def test_what_money_depends_on_is_asked_for_afresh(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(CUSTOMER), says(CUSTOMER | {"contract_status": "terminated"}))
    await customers.customer(CONTRACT)
    told = await customers.customer(CONTRACT, fresh=True)
    assert told.contract_status is ContractStatus.TERMINATED
    assert await customers.customer(CONTRACT) == told  # and the others hear of it
    assert len(counterpart.seen) == 2


async def test_an_old_answer_is_shown_while_they_are_down_and_never_taken_for_fresh(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, keep=0.01, stale=60)
    counterpart.will(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    counterpart.always(they.server_error)
    await asyncio.sleep(0.02)
    assert await customers.customer(CONTRACT) == customer
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT, fresh=True)
    await customers.aclose()


async def test_after_an_hour_nothing_is_shown_any_more(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, keep=0.01, stale=0.02)
    counterpart.will(says(CUSTOMER))
    await customers.customer(CONTRACT)
    counterpart.always(they.server_error)
    await asyncio.sleep(0.03)
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT)
    await customers.aclose()


async def test_an_unknown_contract_is_asked_for_again(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says({}, 404), says(CUSTOMER))
    with pytest.raises(NotFound) as refusal:
        await customers.customer(CONTRACT)
    assert refusal.value.say("vi") == f"Không tìm thấy hợp đồng {CONTRACT}. Hãy kiểm tra lại mã."
    assert await customers.customer(CONTRACT)


# Staff Management


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


# Debt Management


async def test_a_debt_is_told_and_settled(debt: DebtManagement, counterpart: Counterpart) -> None:
    told = {
        "contract_number": CONTRACT,
        "total_debt": 500_000,
        "overdue_months": 2,
        "status": "overdue",
    }
    counterpart.will(says(told), they.reset, says(told, 201))
    assert await debt.debt(CONTRACT) == Debt(total_debt=500_000, overdue_months=2, status="overdue")
    await debt.settle(transaction_id="TXN_1", contract_number=CONTRACT, amount=200_000)
    settled = counterpart.seen[-1]
    assert settled.headers["idempotency-key"] == "TXN_1"
    assert settled.json == {
        "transaction_id": "TXN_1",
        "contract_number": CONTRACT,
        "amount": 200_000,
    }


async def test_settling_more_than_is_owed_is_a_definite_no(
    debt: DebtManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "EXCEEDS_DEBT", "message": "too much"}}, 409))
    with pytest.raises(Rejected, match="EXCEEDS_DEBT"):
        await debt.settle(transaction_id="TXN_1", contract_number=CONTRACT, amount=1)
