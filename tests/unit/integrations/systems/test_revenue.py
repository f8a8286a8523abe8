"""Revenue Management: what it tells is taken strictly, and a record is repeated until it is heard."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.bills import Bill, BillStatus, Fee, Item, ItemType
from domain.methods import PaymentMethod
from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.http.parsing import Rejected
from integrations.systems.revenue import Revenue
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Act, Counterpart, says

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


def bills(*bills: dict[str, Any], contract: str = CONTRACT) -> Act:
    return says({"contract_number": contract, "bills": list(bills)})


@pytest.fixture
def revenue(http: Upstream) -> Revenue:
    return Revenue(http)


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
