"""The command to collect what a contract owes, and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from domain.bills import AmountMismatch, Bill, BillAlreadyPaid, BillStatus, Fee, Item, ItemType
from domain.customers import ContractInactive, ContractStatus, Customer
from domain.identifiers import contract_number, item_id, phone_number
from domain.methods import PaymentMethod
from domain.payments import Notify
from domain.refusals import InvalidInput, NotFound, Refusal, Refused, check_amount
from domain.sentences import InputProblem, Noun

MAX_ITEMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationChannels:
    """The channels by which the client wants the customer notified."""

    hifpt: bool = True
    sms_zalo: bool = True
    email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPayment:
    """
    The command to open a payment of a contract's bills and fees.

    `customer_phone` is as typed until `process` has it in its domestic form. `card_token` stands
    for a card at the card gateway; it is passed on and never stored or logged.
    """

    idempotency_key: str
    contract_number: str
    method: PaymentMethod
    items: tuple[Item, ...]
    customer_phone: str | None
    notify: NotificationChannels
    card_token: str | None = field(default=None, repr=False)

    def folded(self) -> ProcessPayment:
        """Return the request with its numbers in the spelling of the internal systems."""
        return replace(
            self,
            contract_number=contract_number(self.contract_number),
            items=tuple(replace(item, id=item_id(item.id)) for item in self.items),
        )

    @property
    def facts(self) -> dict[str, object]:
        """The facts that make two requests the same; the order of the items does not count."""
        facts: dict[str, object] = {
            "contract": self.contract_number,
            "method": self.method,
            "items": [[item.type, item.id, item.amount] for item in sorted(self.items)],
            "phone": self.customer_phone,
            "notify": [self.notify.hifpt, self.notify.sms_zalo, self.notify.email],
        }
        if self.card_token is not None:
            facts["card"] = self.card_token
        return facts


def check_items(items: Sequence[Item]) -> None:
    """Raise InvalidInput if the items are invalid whatever the contract owes."""
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidInput.because(InputProblem.ITEM_COUNT, field="items", most=MAX_ITEMS)
    seen: set[tuple[ItemType, str]] = set()
    for position, item in enumerate(items):
        check_amount(item.amount, field=f"items.{position}.amount")
        if (item.type, item.id) in seen:
            raise InvalidInput.because(
                InputProblem.ITEM_REPEATED, field=f"items.{position}.id", id=item.id
            )
        seen.add((item.type, item.id))


def as_owed(
    request: ProcessPayment, customer: Customer, *, bills: Sequence[Bill], fees: Sequence[Fee]
) -> ProcessPayment:
    """Return the folded request with the numbers that the internal systems answered."""
    ids = {(ItemType.BILL, item_id(bill.bill_number)): bill.bill_number for bill in bills}
    ids |= {(ItemType.FEE, item_id(fee.fee_id)): fee.fee_id for fee in fees}
    items = tuple(
        replace(item, id=ids.get((item.type, item.id), item.id)) for item in request.items
    )
    return replace(request, contract_number=customer.contract_number, items=items)


def check_owed(
    request: ProcessPayment, customer: Customer, *, bills: Sequence[Bill], fees: Sequence[Fee]
) -> None:
    """
    Raise a refusal unless the contract owes exactly each item of *request*.

    Raises Refused if several items are refused.
    """
    if customer.contract_status is ContractStatus.TERMINATED:
        raise ContractInactive(contract_number=customer.contract_number)
    owed = {(ItemType.BILL, bill.bill_number): (bill.amount, bill.status) for bill in bills}
    owed |= {(ItemType.FEE, fee.fee_id): (fee.amount, fee.status) for fee in fees}
    checked = [_refusal(item, owed.get((item.type, item.id))) for item in request.items]
    refusals = tuple(refusal for refusal in checked if refusal is not None)
    if refusals:
        raise refusals[0] if len(refusals) == 1 else Refused(refusals)


def _refusal(item: Item, owed: tuple[int, BillStatus] | None) -> Refusal | None:
    """Return why *item* cannot be collected; *owed* is None if the contract does not owe it."""
    if owed is None:
        noun = Noun.BILL if item.type is ItemType.BILL else Noun.FEE
        return NotFound.of(noun, id=item.id)
    amount, status = owed
    if status is BillStatus.PAID:
        return BillAlreadyPaid(bill_number=item.id, paid_at=None)
    if amount != item.amount:
        return AmountMismatch(id=item.id, expected=amount, requested=item.amount)
    return None


def notify(request: ProcessPayment, customer: Customer) -> Notify:
    """
    Return whom to notify of the success: the requested phone, else the customer's messaging one.

    HiFPT is used only for phones that have it.
    """
    messaging = [phone for phone in customer.phone_numbers if phone.is_messaging]
    default = phone_number(messaging[0].number) if messaging else None
    phone = request.customer_phone or default
    known = {phone_number(entry.number): entry for entry in customer.phone_numbers}
    return Notify(
        phone=phone,
        hifpt=request.notify.hifpt and phone in known and known[phone].has_hifpt,
        sms=request.notify.sms_zalo and phone is not None,
        email=customer.email if request.notify.email else None,
    )
