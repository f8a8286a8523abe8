"""PayPal's orders, captures and refunds, with the fields that we read, and the evidence in each."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field

from domain.attempts import Failure
from domain.money import MAX_JSON_INTEGER, Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import raw_text, whole_number, with_amount
from integrations.http.parsing import EMPTY_AS_NONE, Text, WireModel

DECLINED = Failure(
    code="DECLINED",
    message="PayPal từ chối khoản tiền này. Chưa có khoản tiền nào bị trừ;"
    " hãy dùng phương thức khác.",
)
_EXPIRED = Failure(code="VOIDED", message="Đơn PayPal đã hết hạn.")
_DOLLARS_AND_CENTS = re.compile(r"(0|[1-9][0-9]{0,12})\.([0-9]{2})", re.ASCII)
_CAPTURE_RESULTS = {
    "COMPLETED": GatewayResult.PAID,
    "PARTIALLY_REFUNDED": GatewayResult.PAID,
    "REFUNDED": GatewayResult.PAID,
    "DECLINED": GatewayResult.DECLINED,
    "FAILED": GatewayResult.DECLINED,
}
_ORDER_RESULTS = {
    "CREATED": GatewayResult.UNPAID,
    "SAVED": GatewayResult.UNPAID,
    "PAYER_ACTION_REQUIRED": GatewayResult.UNPAID,
    "APPROVED": GatewayResult.UNPAID,
    "VOIDED": GatewayResult.EXPIRED,
}


class Amount(WireModel):
    currency_code: Any = None
    value: Any = None


class _Link(WireModel):
    href: str
    rel: str


class _RelatedIds(WireModel):
    order_id: Annotated[str | None, EMPTY_AS_NONE] = None


class _SupplementaryData(WireModel):
    related_ids: _RelatedIds | None = None


class Capture(WireModel):
    """The money that was taken for an order."""

    id: Text
    status: str | None = None
    amount: Amount | None = None
    custom_id: Annotated[str | None, EMPTY_AS_NONE] = None
    supplementary_data: _SupplementaryData | None = None

    @property
    def reference(self) -> str | None:
        return self.custom_id

    @property
    def order_id(self) -> str | None:
        related = self.supplementary_data and self.supplementary_data.related_ids
        return related.order_id if related else None

    def evidence(self, origin: str, source: EvidenceSource) -> Evidence:
        """Return PENDING and undocumented statuses as UNKNOWN: the money may still come."""
        result = _CAPTURE_RESULTS.get(self.status or "", GatewayResult.UNKNOWN)
        paid = result is GatewayResult.PAID
        evidence = Evidence(
            source=source,
            origin=origin,
            result=result,
            gateway_id=self.id if paid else None,
            failure=DECLINED if result is GatewayResult.DECLINED else None,
        )
        if not paid or self.amount is None or self.amount.currency_code != Currency.USD:
            return evidence
        raw = self.amount.value
        return with_amount(evidence, cents(raw), raw=raw, currency=Currency.USD)


class Refund(WireModel):
    """Money of a capture that was refunded."""

    id: Text
    status: str | None = None
    amount: Amount | None = None
    custom_id: str | None = None
    invoice_id: str | None = None

    def is_named(self, reference: str) -> bool:
        """Return whether *reference* is the id under which we requested it."""
        return reference in {self.custom_id, self.invoice_id}


class _Payments(WireModel):
    captures: list[Capture] = Field(default_factory=list[Capture])
    refunds: list[Refund] = Field(default_factory=list[Refund])


class _Unit(WireModel):
    custom_id: Annotated[str | None, EMPTY_AS_NONE] = None
    payments: _Payments | None = None


class Order(WireModel):
    """What the customer approves. Only its capture proves that money came."""

    id: Text
    status: str | None = None
    purchase_units: list[_Unit] = Field(default_factory=list[_Unit])
    links: list[_Link] = Field(default_factory=list[_Link])

    @property
    def reference(self) -> str | None:
        return self.purchase_units[0].custom_id if self.purchase_units else None

    @property
    def refunds(self) -> list[Refund]:
        """All refunds of the order, also those that another program requested."""
        return [
            refund
            for unit in self.purchase_units
            if unit.payments
            for refund in unit.payments.refunds
        ]

    @property
    def url(self) -> str | None:
        """The page where the customer approves the order."""
        links = [link.href for link in self.links if link.rel in {"payer-action", "approve"}]
        known = links and re.fullmatch(r"https?://[!-~]{3,2000}", links[0], re.ASCII)
        return links[0] if known else None

    @property
    def is_approved(self) -> bool:
        return self.status == "APPROVED"

    def evidence(self, origin: str, source: EvidenceSource) -> Evidence:
        for unit in self.purchase_units:
            if unit.payments and unit.payments.captures:
                return unit.payments.captures[-1].evidence(origin, source)
        result = _ORDER_RESULTS.get(self.status or "", GatewayResult.UNKNOWN)
        return Evidence(
            source=source,
            origin=origin,
            result=result,
            gateway_id=self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=_EXPIRED if result is GatewayResult.EXPIRED else None,
        )


class _Detail(WireModel):
    issue: str | None = None


class Problem(WireModel):
    """PayPal's refusal of a request."""

    name: Text
    details: list[_Detail] = Field(default_factory=list[_Detail])

    @property
    def issue(self) -> str:
        """The code of the first detail; the problem's name if it has no details."""
        issues = [detail.issue for detail in self.details if detail.issue]
        return issues[0] if issues else self.name


class Event(WireModel):
    id: Text
    event_type: str = ""
    resource: dict[str, Any] = Field(default_factory=dict[str, Any])


def format_amount(amount: Money) -> dict[str, str]:
    """Return an amount as PayPal writes it: in dollars, with two digits of cents."""
    assert amount.currency is Currency.USD
    value = f"{amount.amount // 100}.{amount.amount % 100:02}"
    return {"currency_code": "USD", "value": value}


def money(amount: Amount | None) -> Money | None:
    """Return an amount in dollars; None if it cannot be read, or is in another currency."""
    if amount is None or amount.currency_code != Currency.USD:
        return None
    value = cents(amount.value)
    return None if value is None else Money(value, Currency.USD)


def cents(raw: object) -> int | None:
    """Return an amount of dollars in cents; None if it has other than zero or two decimals."""
    dollars = whole_number(raw)
    if dollars is None:
        match = _DOLLARS_AND_CENTS.fullmatch(raw_text(raw))
        return int(match[1]) * 100 + int(match[2]) if match else None
    return dollars * 100 if dollars * 100 <= MAX_JSON_INTEGER else None
