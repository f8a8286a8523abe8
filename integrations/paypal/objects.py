"""PayPal's orders, captures and refunds, as far as we read them, and what each says of the money."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from domain.attempts import Failure
from domain.money import LARGEST, Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import text_of, whole, with_sum
from integrations.http.parsing import EMPTY_IS_ABSENT, Text, Wire

DECLINED = Failure(
    code="DECLINED",
    message="PayPal từ chối khoản tiền này. Chưa có khoản tiền nào bị trừ; hãy dùng phương thức khác.",
)
_LAPSED = Failure(code="VOIDED", message="Đơn PayPal đã hết hạn.")
_CENTS = re.compile(r"(0|[1-9][0-9]{0,12})\.([0-9]{2})", re.ASCII)


class Amount(Wire):
    currency_code: Any = None
    value: Any = None


class _Link(Wire):
    href: str
    rel: str


class _Ids(Wire):
    order_id: Annotated[str | None, EMPTY_IS_ABSENT] = None


class _Related(Wire):
    related_ids: _Ids | None = None


class Capture(Wire):
    """The money of an order, once it was taken."""

    id: Text
    status: str | None = None
    amount: Amount | None = None
    custom_id: Annotated[str | None, EMPTY_IS_ABSENT] = None
    supplementary_data: _Related | None = None

    @property
    def reference(self) -> str | None:
        return self.custom_id

    @property
    def order(self) -> str | None:
        """The number of the order that it is of."""
        related = self.supplementary_data and self.supplementary_data.related_ids
        return related.order_id if related else None

    def evidence(self, source: str, grade: EvidenceSource) -> Evidence:
        result = {
            "COMPLETED": GatewayResult.PAID,
            "PARTIALLY_REFUNDED": GatewayResult.PAID,
            "REFUNDED": GatewayResult.PAID,
            "DECLINED": GatewayResult.DECLINED,
            "FAILED": GatewayResult.DECLINED,
        }.get(
            self.status or "", GatewayResult.UNKNOWN
        )  # PENDING above all: it may come, and may not
        paid = result is GatewayResult.PAID
        evidence = Evidence(
            source=grade,
            origin=source,
            result=result,
            gateway_id=self.id if paid else None,
            failure=DECLINED if result is GatewayResult.DECLINED else None,
        )
        if not paid or self.amount is None or self.amount.currency_code != Currency.USD:
            return evidence
        written = self.amount.value
        return with_sum(evidence, cents(written), written=written, currency=Currency.USD)


class Refund(Wire):
    """Money of a capture that went back."""

    id: Text
    status: str | None = None
    amount: Amount | None = None
    custom_id: str | None = None
    invoice_id: str | None = None

    def is_named(self, reference: str) -> bool:
        """Tell whether we asked for it under *reference*, which they were given as both of its ids."""
        return reference in {self.custom_id, self.invoice_id}


class _Payments(Wire):
    captures: list[Capture] = Field(default_factory=list[Capture])
    refunds: list[Refund] = Field(default_factory=list[Refund])


class _Unit(Wire):
    custom_id: Annotated[str | None, EMPTY_IS_ABSENT] = None
    payments: _Payments | None = None


class Order(Wire):
    """What the customer approves. Complete or not, only its capture says that money came."""

    id: Text
    status: str | None = None
    purchase_units: list[_Unit] = Field(default_factory=list[_Unit])
    links: list[_Link] = Field(default_factory=list[_Link])

    @property
    def reference(self) -> str | None:
        return self.purchase_units[0].custom_id if self.purchase_units else None

    @property
    def refunds(self) -> list[Refund]:
        """What was given back of it, whoever asked for it."""
        return [
            refund
            for unit in self.purchase_units
            if unit.payments
            for refund in unit.payments.refunds
        ]

    @property
    def url(self) -> str | None:
        """Where the customer approves it."""
        found = [link.href for link in self.links if link.rel in {"payer-action", "approve"}]
        known = found and re.fullmatch(r"https?://[!-~]{3,2000}", found[0], re.ASCII)
        return found[0] if known else None

    @property
    def is_approved(self) -> bool:
        return self.status == "APPROVED"

    def evidence(self, source: str, grade: EvidenceSource) -> Evidence:
        for unit in self.purchase_units:
            if unit.payments and unit.payments.captures:
                return unit.payments.captures[-1].evidence(source, grade)
        result = {
            "CREATED": GatewayResult.UNPAID,
            "SAVED": GatewayResult.UNPAID,
            "PAYER_ACTION_REQUIRED": GatewayResult.UNPAID,
            "APPROVED": GatewayResult.UNPAID,
            "VOIDED": GatewayResult.EXPIRED,
        }.get(self.status or "", GatewayResult.UNKNOWN)
        return Evidence(
            source=grade,
            origin=source,
            result=result,
            gateway_id=self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=_LAPSED if result is GatewayResult.EXPIRED else None,
        )


class _Detail(Wire):
    issue: str | None = None


class Problem(Wire):
    """How PayPal says no: a name, and what it is about."""

    name: Text
    details: list[_Detail] = Field(default_factory=list[_Detail])

    @property
    def issue(self) -> str:
        issues = [detail.issue for detail in self.details if detail.issue]
        return issues[0] if issues else self.name


class Event(Wire):
    id: Text
    event_type: str = ""
    resource: dict[str, Any] = Field(default_factory=dict[str, Any])


def to_wire(amount: Money) -> dict[str, str]:
    """Return an amount as PayPal writes it: in dollars, with two digits of cents."""
    assert amount.currency is Currency.USD
    value = f"{amount.amount // 100}.{amount.amount % 100:02}"
    return {"currency_code": "USD", "value": value}


def money(amount: Amount | None) -> Money | None:
    """Return an amount in dollars; None where it cannot be read, or is in another currency."""
    if amount is None or amount.currency_code != Currency.USD:
        return None
    read = cents(amount.value)
    return None if read is None else Money(read, Currency.USD)


def cents(written: object) -> int | None:
    """Return a sum of dollars in cents: whole dollars, or with two digits of cents; None for any other."""
    dollars = whole(written)
    if dollars is None:
        found = _CENTS.fullmatch(text_of(written))
        return int(found[1]) * 100 + int(found[2]) if found else None
    return dollars * 100 if dollars * 100 <= LARGEST else None
