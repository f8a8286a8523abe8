"""The search of payments: filter, order and totals."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain import identifiers
from domain.methods import PaymentMethod
from domain.payments import Custody, Payment, PaymentStatus

MAX_COUNTED = 10_000  # matches of a search that its totals count

# Marks on letters, and invisible characters such as the zero-width space.
_IGNORED = frozenset({"Mn", "Me", "Cf"})
# These do not decompose; some converters write ð or ɖ for đ.
_D = str.maketrans("đðɖ", "ddd")


def folded(text: str) -> str:
    """
    Return *text* as names are compared: lower case, without marks, đ as d, single spaces.

    The database stores the result beside each name, so pages and live feeds find the same. A change
    here needs a migration that folds the names again.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = (letter for letter in decomposed if unicodedata.category(letter) not in _IGNORED)
    return " ".join("".join(letters).translate(_D).split())


class PaymentOrder(StrEnum):
    CREATED_DESC = "CREATED_DESC"
    CREATED_ASC = "CREATED_ASC"
    AMOUNT_DESC = "AMOUNT_DESC"
    AMOUNT_ASC = "AMOUNT_ASC"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """Which payments; every given part must match. A range is [from, to)."""

    status: Sequence[PaymentStatus] | None = None
    method: Sequence[PaymentMethod] | None = None
    custody: Sequence[Custody] | None = None
    staff_id: str | None = None
    contract_number: str | None = None
    order_id: str | None = None
    gateway_reference: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    needs_verification: bool | None = None
    search: str | None = None

    @property
    def searched_ids(self) -> list[str]:
        """The ids, contracts or references that `search` may equal: as typed and in capitals."""
        typed = identifiers.folded(self.search or "")
        return [typed, typed.upper()]

    def folded(self) -> PaymentFilter:
        """Return the filter with the contract's number in the spelling of the internal systems."""
        contract = self.contract_number
        return replace(
            self,
            contract_number=None if contract is None else identifiers.contract_number(contract),
        )

    def matches(self, payment: Payment) -> bool:
        """Return whether *payment* matches, by the same rule as the database's query."""
        attempt = payment.attempt
        references = {attempt.reference, attempt.gateway_id} if attempt else set[str | None]()
        found = {payment.id, payment.contract_number} | references
        return (
            (self.status is None or payment.status in self.status)
            and (self.method is None or payment.method in self.method)
            and (self.custody is None or payment.custody in self.custody)
            and self.staff_id in {None, payment.staff_id}
            and self.contract_number in {None, payment.contract_number}
            and self.order_id in {None, payment.order.id if payment.order else None}
            and (self.gateway_reference is None or self.gateway_reference in references)
            and (self.created_from is None or payment.created_at >= self.created_from)
            and (self.created_to is None or payment.created_at < self.created_to)
            and (self.min_amount is None or payment.amount >= self.min_amount)
            and (self.max_amount is None or payment.amount <= self.max_amount)
            and self.needs_verification in {None, payment.needs_verification}
            and (
                self.search is None
                or not found.isdisjoint(self.searched_ids)
                or folded(self.search) in folded(payment.customer_name)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """
    How many payments match, and the sum of their amounts in VND.

    Beyond MAX_COUNTED matches only the first are counted: the count is MAX_COUNTED, the amount
    None.
    """

    count: int
    amount: int | None

    @property
    def exact(self) -> bool:
        return self.amount is not None
