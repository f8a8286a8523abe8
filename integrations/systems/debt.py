"""Debt Management: the total debt of a contract, and how payments reduce it."""

from __future__ import annotations

from domain.customers import Debt
from domain.reversals import Reversal
from integrations.http.client import Upstream
from integrations.http.messages import Answer
from integrations.http.parsing import Amount, Text, WireModel, parse_success
from integrations.systems.calls import (
    check_contract,
    fetch_of_contract,
    keyed_post,
    reversal_post,
    send,
)

SYSTEM = "Debt Management"


class _Debt(WireModel):
    contract_number: str
    total_debt: Amount
    overdue_months: Amount
    status: Text


class DebtManagement:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def debt(self, contract_number: str) -> Debt:
        """Return the debt of a contract. Raises NotFound or UpstreamUnavailable."""
        return await fetch_of_contract(
            self._http, SYSTEM, "debts", contract_number, _read_debt, operation="debt"
        )

    async def unsettle(self, reversal: Reversal) -> None:
        """Add a reversed amount to the debt again, once. Raises Rejected for a definite refusal."""
        request = reversal_post("unsettle", "/api/debts/unsettle", reversal)
        await send(self._http, SYSTEM, request)

    async def settle(self, *, transaction_id: str, contract_number: str, amount: int) -> None:
        """Settle *amount* VND of the debt, once. Raises Rejected for a definite refusal."""
        body = {
            "transaction_id": transaction_id,
            "contract_number": contract_number,
            "amount": amount,
        }
        request = keyed_post(
            "settle", "/api/debts/settle", body, key=transaction_id, subject=contract_number
        )
        await send(self._http, SYSTEM, request)


def _read_debt(answer: Answer, number: str) -> Debt:
    debt = parse_success(_Debt, answer)
    check_contract(debt.contract_number, number)
    return Debt(total_debt=debt.total_debt, overdue_months=debt.overdue_months, status=debt.status)
