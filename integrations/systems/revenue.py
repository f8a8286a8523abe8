"""Revenue Management: the bills and fees of a contract, and the records of payments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Literal, TypeVar

from pydantic import AwareDatetime

from domain import identifiers
from domain.bills import Bill, BillStatus, Fee, Item, PastPayment
from domain.methods import PaymentMethod
from domain.reversals import Reversal
from integrations.http.client import Upstream
from integrations.http.failures import Unusable
from integrations.http.messages import Answer
from integrations.http.parsing import Amount, Text, WireModel, parse_success
from integrations.systems.calls import (
    check_contract,
    fetch_of_contract,
    keyed_post,
    reversal_post,
    send,
)

Result = TypeVar("Result")

SYSTEM = "Revenue Management"

Status = Literal["unpaid", "paid"]


class _Bill(WireModel):
    bill_number: Text
    period_from: date
    period_to: date
    amount: Amount
    content: str
    issue_date: date
    status: Status


class _Bills(WireModel):
    contract_number: str
    bills: tuple[_Bill, ...]


class _Fee(WireModel):
    fee_id: Text
    content: str
    amount: Amount
    status: Status


class _Fees(WireModel):
    contract_number: str
    fees: tuple[_Fee, ...]


class _Payment(WireModel):
    transaction_id: Text
    paid_at: AwareDatetime
    amount: Amount
    method: str


class _History(WireModel):
    contract_number: str
    payments: tuple[_Payment, ...]


class Revenue:
    """The queries raise NotFound for an unknown contract, else UpstreamUnavailable."""

    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def bills(self, contract_number: str) -> tuple[Bill, ...]:
        return await self._fetch("bills", contract_number, _read_bills)

    async def fees(self, contract_number: str) -> tuple[Fee, ...]:
        return await self._fetch("fees", contract_number, _read_fees)

    async def history(self, contract_number: str) -> tuple[PastPayment, ...]:
        return await self._fetch("payment-history", contract_number, _read_history)

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
        """Record a payment, once. Raises Rejected for a definite refusal."""
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
        request = keyed_post(
            "record", "/api/payments/record", body, key=transaction_id, subject=contract_number
        )
        await send(self._http, SYSTEM, request)

    async def reverse(self, reversal: Reversal) -> None:
        """Record a reversal, once. Raises Rejected for a definite refusal."""
        request = reversal_post("reverse", "/api/payments/reverse", reversal)
        await send(self._http, SYSTEM, request)

    async def _fetch(
        self, resource: str, contract_number: str, read: Callable[[Answer, str], Result]
    ) -> Result:
        return await fetch_of_contract(
            self._http, SYSTEM, resource, contract_number, read, operation=resource
        )


def _read_bills(answer: Answer, number: str) -> tuple[Bill, ...]:
    content = parse_success(_Bills, answer)
    check_contract(content.contract_number, number)
    _check_unique([bill.bill_number for bill in content.bills])
    return tuple(
        Bill(
            bill_number=bill.bill_number,
            period_from=bill.period_from,
            period_to=bill.period_to,
            amount=bill.amount,
            content=bill.content,
            issue_date=bill.issue_date,
            status=BillStatus(bill.status.upper()),
        )
        for bill in content.bills
    )


def _read_fees(answer: Answer, number: str) -> tuple[Fee, ...]:
    content = parse_success(_Fees, answer)
    check_contract(content.contract_number, number)
    _check_unique([fee.fee_id for fee in content.fees])
    return tuple(
        Fee(
            fee_id=fee.fee_id,
            content=fee.content,
            amount=fee.amount,
            status=BillStatus(fee.status.upper()),
        )
        for fee in content.fees
    )


def _read_history(answer: Answer, number: str) -> tuple[PastPayment, ...]:
    history = parse_success(_History, answer)
    check_contract(history.contract_number, number)
    return tuple(
        PastPayment(
            transaction_id=payment.transaction_id,
            paid_at=payment.paid_at,
            amount=payment.amount,
            method=payment.method,
        )
        for payment in history.payments
    )


def _check_unique(ids: list[str]) -> None:
    """Raise Unusable if two items have the same id."""
    if len({identifiers.item_id(id) for id in ids}) != len(ids):
        raise Unusable("an item is repeated")
