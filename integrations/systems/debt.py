"""Debt Management: what a contract owes in all, and that it was settled."""

from __future__ import annotations

from domain import identifiers
from domain.customers import Debt
from domain.refusals import NotFound
from domain.reversals import Reversal
from integrations.http.client import Answer, Unusable, Upstream
from integrations.http.parsing import (
    Amount,
    Text,
    Wire,
    accepted,
    expect,
    or_unavailable,
    segment,
    told_of,
)

SYSTEM = "Debt Management"


class _Debt(Wire):
    contract_number: str
    total_debt: Amount
    overdue_months: Amount
    status: Text


class DebtManagement:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def debt(self, contract_number: str) -> Debt:
        """Raises NotFound or UpstreamUnavailable."""
        number = segment(contract_number, what_vi="hợp đồng", what_en="contract")

        def read(answer: Answer) -> Debt:
            if answer.status == 404:
                raise NotFound(what_vi="hợp đồng", what_en="contract", id=number)
            told = expect(_Debt, answer)
            if identifiers.contract_number(told.contract_number) != number:
                raise Unusable("another contract's answer")
            return Debt(
                total_debt=told.total_debt,
                overdue_months=told.overdue_months,
                status=told.status,
            )

        with or_unavailable(SYSTEM):
            return await self._http.call(
                "debt", "GET", f"/api/debts/{number}", read=read, repeatable=True, subject=number
            )

    async def unsettle(self, reversal: Reversal) -> None:
        """Owe again what was given back; a repeat is harmless. Raises Rejected for a definite no."""
        with or_unavailable(SYSTEM, keep_rejections=True):
            await self._http.call(
                "unsettle",
                "POST",
                "/api/debts/unsettle",
                body=told_of(reversal),
                headers={"Idempotency-Key": reversal.id},
                read=accepted,
                repeatable=True,
                subject=reversal.payment_id,
            )

    async def settle(self, *, transaction_id: str, contract_number: str, amount: int) -> None:
        """Settle *amount* VND; a repeat is harmless. Raises Rejected for a definite no."""
        with or_unavailable(SYSTEM, keep_rejections=True):
            await self._http.call(
                "settle",
                "POST",
                "/api/debts/settle",
                body={
                    "transaction_id": transaction_id,
                    "contract_number": contract_number,
                    "amount": amount,
                },
                headers={"Idempotency-Key": transaction_id},
                read=accepted,
                repeatable=True,
                subject=contract_number,
            )
