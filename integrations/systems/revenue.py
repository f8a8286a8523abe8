"""Revenue Management: which bills and fees a contract owes, and the record of what was collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal, TypeVar

from pydantic import AwareDatetime

from domain import identifiers
from domain.bills import Bill, BillStatus, Fee, Item, PastPayment
from domain.methods import PaymentMethod
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

T = TypeVar("T")

SYSTEM = "Revenue Management"

Status = Literal["unpaid", "paid"]


class _Bill(Wire):
    bill_number: Text
    period_from: date
    period_to: date
    amount: Amount
    content: str
    issue_date: date
    status: Status


class _Bills(Wire):
    contract_number: str
    bills: tuple[_Bill, ...]


class _Fee(Wire):
    fee_id: Text
    content: str
    amount: Amount
    status: Status


class _Fees(Wire):
    contract_number: str
    fees: tuple[_Fee, ...]


class _Payment(Wire):
    transaction_id: Text
    paid_at: AwareDatetime
    amount: Amount
    method: str


class _History(Wire):
    contract_number: str
    payments: tuple[_Payment, ...]


class Revenue:
    """Every question raises NotFound for an unknown contract, and UpstreamUnavailable for silence."""

    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def bills(self, contract_number: str) -> tuple[Bill, ...]:
        def read(answer: Answer) -> tuple[Bill, ...]:
            told = expect(_Bills, answer)
            _check_about(told.contract_number, contract_number)
            _distinct([bill.bill_number for bill in told.bills])
            return tuple(_bill(bill) for bill in told.bills)

        return await self._ask("bills", contract_number, read)

    async def fees(self, contract_number: str) -> tuple[Fee, ...]:
        def read(answer: Answer) -> tuple[Fee, ...]:
            told = expect(_Fees, answer)
            _check_about(told.contract_number, contract_number)
            _distinct([fee.fee_id for fee in told.fees])
            return tuple(_fee(fee) for fee in told.fees)

        return await self._ask("fees", contract_number, read)

    async def history(self, contract_number: str) -> tuple[PastPayment, ...]:
        def read(answer: Answer) -> tuple[PastPayment, ...]:
            told = expect(_History, answer)
            _check_about(told.contract_number, contract_number)
            return tuple(
                PastPayment(
                    transaction_id=payment.transaction_id,
                    paid_at=payment.paid_at,
                    amount=payment.amount,
                    method=payment.method,
                )
                for payment in told.payments
            )

        return await self._ask("payment-history", contract_number, read)

    async def record(
        self,
        *,
        transaction_id: str,
        contract_number: str,
        method: PaymentMethod,
        paid_at: datetime,
        items: Sequence[Item],
        staff_id: str,
    ) -> None:
        """Record a payment; a repeat is harmless. Raises Rejected for a definite no."""
        body = {
            "transaction_id": transaction_id,
            "contract_number": contract_number,
            "method": method.value.lower(),
            "paid_at": paid_at.isoformat(),
            "items": [
                {"type": item.type.value.lower(), "id": item.id, "amount": item.amount}
                for item in items
            ],
            "staff_id": staff_id,
        }
        with or_unavailable(SYSTEM, keep_rejections=True):
            await self._http.call(
                "record",
                "POST",
                "/api/payments/record",
                body=body,
                headers={"Idempotency-Key": transaction_id},
                read=accepted,
                repeatable=True,
                subject=contract_number,
            )

    async def reverse(self, reversal: Reversal) -> None:
        """Tell of what was given back; a repeat is harmless. Raises Rejected for a definite no."""
        with or_unavailable(SYSTEM, keep_rejections=True):
            await self._http.call(
                "reverse",
                "POST",
                "/api/payments/reverse",
                body=told_of(reversal),
                headers={"Idempotency-Key": reversal.id},
                read=accepted,
                repeatable=True,
                subject=reversal.payment_id,
            )

    async def _ask(self, what: str, contract_number: str, read: Callable[[Answer], T]) -> T:
        number = segment(contract_number, what_vi="hợp đồng", what_en="contract")

        def known(answer: Answer) -> T:
            if answer.status == 404:
                raise NotFound(what_vi="hợp đồng", what_en="contract", id=number)
            return read(answer)

        with or_unavailable(SYSTEM):
            return await self._http.call(
                what,
                "GET",
                f"/api/{what}/{number}",
                read=known,
                repeatable=True,
                subject=number,
            )


def _bill(told: _Bill) -> Bill:
    return Bill(
        bill_number=told.bill_number,
        period_from=told.period_from,
        period_to=told.period_to,
        amount=told.amount,
        content=told.content,
        issue_date=told.issue_date,
        status=BillStatus(told.status.upper()),
    )


def _fee(told: _Fee) -> Fee:
    return Fee(
        fee_id=told.fee_id,
        content=told.content,
        amount=told.amount,
        status=BillStatus(told.status.upper()),
    )


def _check_about(answered: str, number: str) -> None:
    """Raise Unusable for an answer about another contract."""
    if identifiers.contract_number(answered) != number:
        raise Unusable("another contract's answer")


def _distinct(ids: list[str]) -> None:
    if len({identifiers.item_id(id) for id in ids}) != len(ids):
        raise Unusable("the same item twice")
