"""Debt Management: the debt of a contract, and its settlement."""

from __future__ import annotations

import pytest

from domain.customers import Debt
from integrations.http.client import Upstream
from integrations.http.parsing import Rejected
from integrations.systems.debt import DebtManagement
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says

CONTRACT = "SGFDN1015"


@pytest.fixture
def debt(http: Upstream) -> DebtManagement:
    return DebtManagement(http)


async def test_a_debt_is_read_and_settled(debt: DebtManagement, counterpart: Counterpart) -> None:
    content = {
        "contract_number": CONTRACT,
        "total_debt": 500_000,
        "overdue_months": 2,
        "status": "overdue",
    }
    counterpart.will(says(content), acts.reset, says(content, 201))
    assert await debt.debt(CONTRACT) == Debt(total_debt=500_000, overdue_months=2, status="overdue")
    await debt.settle(transaction_id="TXN_1", contract_number=CONTRACT, amount=200_000)
    settled = counterpart.seen[-1]
    assert settled.headers["idempotency-key"] == "TXN_1"
    assert settled.json == {
        "transaction_id": "TXN_1",
        "contract_number": CONTRACT,
        "amount": 200_000,
    }


async def test_settling_more_than_the_debt_is_rejected(
    debt: DebtManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "EXCEEDS_DEBT", "message": "too much"}}, 409))
    with pytest.raises(Rejected, match="EXCEEDS_DEBT"):
        await debt.settle(transaction_id="TXN_1", contract_number=CONTRACT, amount=1)
