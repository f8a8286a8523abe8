"""Revenue Management: strict reading of bills and fees, and retries of a record."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.bills import Bill, BillStatus, Fee, Item, ItemType
from domain.methods import PaymentMethod
from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.http.parsing import Rejected
from integrations.systems.revenue import Revenue
from tests.support.gateways import counterpart as acts
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


async def test_bills_and_fees_are_read(revenue: Revenue, counterpart: Counterpart) -> None:
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


async def test_past_payments_have_their_time(revenue: Revenue, counterpart: Counterpart) -> None:
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
    "changes",
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
async def test_a_malformed_bill_is_refused(
    revenue: Revenue, counterpart: Counterpart, changes: dict[str, Any]
) -> None:
    counterpart.always(bills(BILL | changes))
    with pytest.raises(UpstreamUnavailable):
        await revenue.bills(CONTRACT)


@pytest.mark.parametrize(
    "act",
    [bills(BILL, contract="SGFDN2000"), bills(BILL, BILL)],
    ids=["another contract's", "one bill twice"],
)
async def test_an_answer_about_another_contract_or_a_repeated_bill_is_refused(
    revenue: Revenue, counterpart: Counterpart, act: Act
) -> None:
    counterpart.always(act)
    with pytest.raises(UpstreamUnavailable):
        await revenue.bills(CONTRACT)


async def test_a_query_of_bills_is_retried(revenue: Revenue, counterpart: Counterpart) -> None:
    counterpart.will(acts.server_error, acts.reset, acts.truncated, bills(BILL))
    assert len(await revenue.bills(CONTRACT)) == 1


@pytest.mark.parametrize("number", ["..", "a/b", "", "a?b=c", "x" * 65, "Á", "%2e%2e"])
async def test_a_contract_number_that_no_path_can_hold_is_not_found(
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


async def test_a_record_is_retried_under_its_key(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(acts.reset, acts.server_error, says({"status": "recorded"}, 201))
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


async def test_a_rejected_record_has_a_code_and_a_text(
    revenue: Revenue, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "ALREADY_PAID", "message": "paid before"}}, 409))
    with pytest.raises(Rejected) as error:
        await record(revenue)
    assert (error.value.code, error.value.text) == ("ALREADY_PAID", "paid before")
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize("status", [401, 403, 429, 302])
async def test_a_refusal_that_is_not_about_the_record_is_unavailable(
    revenue: Revenue, counterpart: Counterpart, status: int
) -> None:
    counterpart.always(says({}, status))
    with pytest.raises(UpstreamUnavailable):
        await record(revenue)
