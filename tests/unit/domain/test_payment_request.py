"""What may be collected: every reason not to, and whom to tell of a success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bills import AmountMismatch, BillAlreadyPaid, BillStatus, Item, ItemType
from domain.customers import ContractInactive, ContractStatus
from domain.money import LARGEST
from domain.payment_request import MOST_ITEMS, NotifyWish, as_owed, check_items, check_owed, notify
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
        ([bill_item(f"U{n}") for n in range(MOST_ITEMS + 1)], "items"),
        ([bill_item(amount=0)], "items.0.amount"),
        ([bill_item(), bill_item("U2", -1)], "items.1.amount"),
        ([bill_item(amount=LARGEST + 1)], "items.0.amount"),
        ([bill_item(), fee_item(), bill_item()], "items.2.id"),
        ([bill_item(amount=1), bill_item(amount=2)], "items.1.id"),
    ],
)
def test_items_that_make_no_sense_are_refused_where_they_stand(
    items: list[Item], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_items(items)
    assert refused.value.field == field
    words = {"en": ("must", "needs", "Send it once"), "vi": ("phải", "cần", "Hãy")}
    for language in words:  # what to do about it
        assert any(word in refused.value.say(language) for word in words[language])


@pytest.mark.parametrize(
    "items",
    [
        [bill_item(f"U{n}") for n in range(MOST_ITEMS)],
        [bill_item("same"), fee_item("same")],
        [bill_item(amount=LARGEST)],
    ],
    ids=["fifty", "a bill and a fee of one number", "the largest amount"],
)
def test_items_at_the_edge_are_taken(items: list[Item]) -> None:
    check_items(items)


# ── what is owed ─────────────────────────────────────────────────────────────────────────────────


def refusal_of(*items: Item, contract: ContractStatus = ContractStatus.ACTIVE) -> Refusal | None:
    paid = BillStatus.PAID
    try:
        check_owed(
            a_request(*items),
            a_customer(contract_status=contract),
            bills=[a_bill(), a_bill("PAID", status=paid)],
            fees=[a_fee(), a_fee("FEE_PAID", status=paid)],
        )
    except Refusal as refused:
        return refused
    return None


@pytest.mark.parametrize("contract", [ContractStatus.ACTIVE, ContractStatus.SUSPENDED])
def test_a_contract_that_is_not_terminated_pays_what_it_owes(contract: ContractStatus) -> None:
    assert refusal_of(bill_item(), fee_item(), contract=contract) is None


def test_nothing_is_collected_on_a_terminated_contract() -> None:
    refused = refusal_of(bill_item(), contract=ContractStatus.TERMINATED)
    assert isinstance(refused, ContractInactive)
    assert refused.contract_number == "SGFDN1015"


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (bill_item("ANOTHERS"), "bill"),
        (fee_item("ANOTHERS"), "fee"),
        (Item(type=ItemType.FEE, id="U23SG0073526", amount=200_000), "fee"),
    ],
)
def test_what_the_contract_does_not_owe_is_not_found(item: Item, what: str) -> None:
    refused = refusal_of(item)
    assert isinstance(refused, NotFound)
    assert (refused.what_en, refused.id) == (what, item.id)


@pytest.mark.parametrize("item", [bill_item("PAID"), fee_item("FEE_PAID")])
def test_what_is_paid_already_refuses_the_whole_payment(item: Item) -> None:
    refused = refusal_of(bill_item(), item)
    assert isinstance(refused, BillAlreadyPaid)
    assert refused.bill_number == item.id


@given(st.integers(1, LARGEST).filter(lambda amount: amount != 200_000))
def test_an_item_is_paid_whole(amount: int) -> None:
    refused = refusal_of(bill_item(amount=amount))
    assert isinstance(refused, AmountMismatch)
    assert (refused.expected, refused.requested) == (200_000, amount)


# ── one spelling ─────────────────────────────────────────────────────────────────────────────────


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


def test_what_is_collected_bears_the_numbers_of_the_systems_own_answers() -> None:
    """Their spelling is what they are told of the payment, and what holds the bill."""
    request = a_request(bill_item("u1"), fee_item("F-1"), bill_item("ANOTHERS")).folded()
    owed = as_owed(
        request,
        a_customer(contract_number="SGFDN1015"),
        bills=[a_bill("u1")],
        fees=[a_fee("f-1")],
    )
    assert [item.id for item in owed.items] == ["u1", "f-1", "ANOTHERS"]
    assert owed.contract_number == "SGFDN1015"


# ── whom to tell ─────────────────────────────────────────────────────────────────────────────────

HIFPT = a_phone("0987654321")
SPACED = a_phone("0987 654\u00a0321")
PLAIN = a_phone("0900000001", has_hifpt=False)
LANDLINE = a_phone("02838000000", has_hifpt=False, is_messaging=False)


@pytest.mark.parametrize(
    ("phones", "asked", "wish", "told"),
    [
        ([HIFPT], None, NotifyWish(), Notify(phone="0987654321", hifpt=True, sms=True)),
        ([LANDLINE, PLAIN], None, NotifyWish(), Notify(phone="0900000001", sms=True)),
        ([LANDLINE], None, NotifyWish(), Notify()),
        ([], None, NotifyWish(), Notify()),
        ([HIFPT], "0911111111", NotifyWish(), Notify(phone="0911111111", sms=True)),
        ([HIFPT], None, NotifyWish(hifpt=False), Notify(phone="0987654321", sms=True)),
        ([HIFPT], None, NotifyWish(sms_zalo=False), Notify(phone="0987654321", hifpt=True)),
        ([PLAIN], None, NotifyWish(sms_zalo=False), Notify(phone="0900000001")),
        ([SPACED], "0987654321", NotifyWish(), Notify(phone="0987654321", hifpt=True, sms=True)),
        ([SPACED], None, NotifyWish(), Notify(phone="0987654321", hifpt=True, sms=True)),
    ],
)
def test_the_phone_that_was_asked_for_is_told_or_the_customers_messaging_one(
    phones: list, asked: str | None, wish: NotifyWish, told: Notify
) -> None:
    customer = a_customer(phone_numbers=tuple(phones))
    assert notify(a_request(customer_phone=asked, notify=wish), customer) == told


@pytest.mark.parametrize(("wants", "address"), [(True, "a@b.vn"), (True, None), (False, "a@b.vn")])
def test_mail_is_sent_only_where_it_is_wanted_and_there_is_an_address(
    wants: bool, address: str | None
) -> None:
    told = notify(a_request(notify=NotifyWish(email=wants)), a_customer(email=address))
    assert told.email == (address if wants else None)
