"""The checks of a payment request, and whom to notify of a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bills import AmountMismatch, BillAlreadyPaid, BillStatus, Item, ItemType
from domain.customers import ContractInactive, ContractStatus
from domain.money import MAX_JSON_INTEGER
from domain.payment_request import (
    MAX_ITEMS,
    NotificationChannels,
    as_owed,
    check_items,
    check_owed,
    notify,
)
from domain.payments import Notify
from domain.refusals import InvalidInput, NotFound, Refusal
from tests.support.builders import (
    a_bill,
    a_customer,
    a_fee,
    a_phone,
    a_request,
    bill_item,
    fee_item,
)

# ── items ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        ([bill_item(f"U{n}") for n in range(MAX_ITEMS + 1)], "items"),
        ([bill_item(amount=0)], "items.0.amount"),
        ([bill_item(), bill_item("U2", -1)], "items.1.amount"),
        ([bill_item(amount=MAX_JSON_INTEGER + 1)], "items.0.amount"),
        ([bill_item(), fee_item(), bill_item()], "items.2.id"),
        ([bill_item(amount=1), bill_item(amount=2)], "items.1.id"),
    ],
)
def test_invalid_items_are_refused_with_their_field(items: list[Item], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_items(items)
    assert caught.value.field == field
    words = {"en": ("must", "needs", "Send it once"), "vi": ("phải", "cần", "Hãy")}
    for language in words:  # what to do about it
        assert any(word in caught.value.text(language) for word in words[language])


@pytest.mark.parametrize(
    "items",
    [
        [bill_item(f"U{n}") for n in range(MAX_ITEMS)],
        [bill_item("same"), fee_item("same")],
        [bill_item(amount=MAX_JSON_INTEGER)],
    ],
    ids=["fifty", "a bill and a fee of one number", "the largest amount"],
)
def test_items_at_the_bounds_are_accepted(items: list[Item]) -> None:
    check_items(items)


# ── debts ────────────────────────────────────────────────────────────────────────────────────────


def refusal_of(*items: Item, contract: ContractStatus = ContractStatus.ACTIVE) -> Refusal | None:
    paid = BillStatus.PAID
    try:
        check_owed(
            a_request(*items),
            a_customer(contract_status=contract),
            bills=[a_bill(), a_bill("PAID", status=paid)],
            fees=[a_fee(), a_fee("FEE_PAID", status=paid)],
        )
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.parametrize("contract", [ContractStatus.ACTIVE, ContractStatus.SUSPENDED])
def test_a_contract_that_is_not_terminated_pays_what_it_owes(contract: ContractStatus) -> None:
    assert refusal_of(bill_item(), fee_item(), contract=contract) is None


def test_nothing_is_collected_on_a_terminated_contract() -> None:
    refusal = refusal_of(bill_item(), contract=ContractStatus.TERMINATED)
    assert isinstance(refusal, ContractInactive)
    assert refusal.contract_number == "SGFDN1015"


@pytest.mark.parametrize(
    ("item", "noun"),
    [
        (bill_item("ANOTHERS"), "bill"),
        (fee_item("ANOTHERS"), "fee"),
        (Item(type=ItemType.FEE, id="U23SG0073526", amount=200_000), "fee"),
    ],
)
def test_an_item_that_the_contract_does_not_owe_is_not_found(item: Item, noun: str) -> None:
    refusal = refusal_of(item)
    assert isinstance(refusal, NotFound)
    assert (refusal.what_en, refusal.id) == (noun, item.id)


@pytest.mark.parametrize("item", [bill_item("PAID"), fee_item("FEE_PAID")])
def test_a_paid_item_refuses_the_whole_payment(item: Item) -> None:
    refusal = refusal_of(bill_item(), item)
    assert isinstance(refusal, BillAlreadyPaid)
    assert refusal.bill_number == item.id


@given(st.integers(1, MAX_JSON_INTEGER).filter(lambda amount: amount != 200_000))
def test_an_item_is_paid_in_full(amount: int) -> None:
    refusal = refusal_of(bill_item(amount=amount))
    assert isinstance(refusal, AmountMismatch)
    assert (refusal.expected, refusal.requested) == (200_000, amount)


# ── spelling ─────────────────────────────────────────────────────────────────────────────────────


def test_two_spellings_of_a_request_have_the_same_facts() -> None:
    typed = a_request(
        bill_item("u23sg0073526 "),
        fee_item("fee_\u200bsgfdn1015"),
        contract_number="ｓｇｆｄｎ1015",
    )
    written = a_request(
        bill_item("U23SG0073526"), fee_item("FEE_SGFDN1015"), contract_number="SGFDN1015"
    )
    assert typed.folded().facts == written.folded().facts == written.facts


def test_a_request_takes_the_spelling_of_the_systems_answers() -> None:
    """The record to Revenue and the lock of the bill use that spelling."""
    request = a_request(bill_item("u1"), fee_item("F-1"), bill_item("ANOTHERS")).folded()
    owed = as_owed(
        request,
        a_customer(contract_number="SGFDN1015"),
        bills=[a_bill("u1")],
        fees=[a_fee("f-1")],
    )
    assert [item.id for item in owed.items] == ["u1", "f-1", "ANOTHERS"]
    assert owed.contract_number == "SGFDN1015"


# ── whom to notify ───────────────────────────────────────────────────────────────────────────────

HIFPT = a_phone("0987654321")
SPACED = a_phone("0987 654\u00a0321")
PLAIN = a_phone("0900000001", has_hifpt=False)
LANDLINE = a_phone("02838000000", has_hifpt=False, is_messaging=False)


@pytest.mark.parametrize(
    ("phones", "requested", "wish", "expected"),
    [
        ([HIFPT], None, NotificationChannels(), Notify(phone="0987654321", hifpt=True, sms=True)),
        ([LANDLINE, PLAIN], None, NotificationChannels(), Notify(phone="0900000001", sms=True)),
        ([LANDLINE], None, NotificationChannels(), Notify()),
        ([], None, NotificationChannels(), Notify()),
        ([HIFPT], "0911111111", NotificationChannels(), Notify(phone="0911111111", sms=True)),
        ([HIFPT], None, NotificationChannels(hifpt=False), Notify(phone="0987654321", sms=True)),
        (
            [HIFPT],
            None,
            NotificationChannels(sms_zalo=False),
            Notify(phone="0987654321", hifpt=True),
        ),
        ([PLAIN], None, NotificationChannels(sms_zalo=False), Notify(phone="0900000001")),
        (
            [SPACED],
            "0987654321",
            NotificationChannels(),
            Notify(phone="0987654321", hifpt=True, sms=True),
        ),
        ([SPACED], None, NotificationChannels(), Notify(phone="0987654321", hifpt=True, sms=True)),
    ],
)
def test_the_requested_phone_is_notified_or_the_customers_messaging_one(
    phones: list, requested: str | None, wish: NotificationChannels, expected: Notify
) -> None:
    customer = a_customer(phone_numbers=tuple(phones))
    assert notify(a_request(customer_phone=requested, notify=wish), customer) == expected


@pytest.mark.parametrize(("wants", "address"), [(True, "a@b.vn"), (True, None), (False, "a@b.vn")])
def test_email_is_sent_only_if_it_is_wanted_and_there_is_an_address(
    wants: bool, address: str | None
) -> None:
    notification = notify(
        a_request(notify=NotificationChannels(email=wants)), a_customer(email=address)
    )
    assert notification.email == (address if wants else None)
