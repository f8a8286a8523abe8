"""What makes two requests the same one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bills import ItemType
from domain.idempotency import LONGEST, SHORTEST, check_key, fingerprint
from domain.methods import PaymentMethod
from domain.payment_request import NotifyWish, ProcessPayment
from domain.refusals import InvalidInput
from tests.support.builders import a_request, bill_item, fee_item

ITEM = bill_item()
CHANGED: dict[str, list[Any]] = {
    "contract_number": ["SGFDN2000"],
    "method": [item for item in PaymentMethod if item is not PaymentMethod.CASH],
    "items": [
        (ITEM, fee_item()),
        (replace(ITEM, id="U2"),),
        (replace(ITEM, amount=200_001),),
        (replace(ITEM, type=ItemType.FEE),),
    ],
    "customer_phone": ["0987654321"],
    "card_token": ["tok_visa"],
    "notify": [NotifyWish(hifpt=False), NotifyWish(sms_zalo=False), NotifyWish(email=True)],
}


def print_of(asked: ProcessPayment) -> bytes:
    return fingerprint("processPayment", asked.facts)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in CHANGED.items() for value in values]
)
def test_every_field_makes_it_another_request(name: str, value: Any) -> None:
    assert print_of(replace(a_request(ITEM), **{name: value})) != print_of(a_request(ITEM))


def test_no_field_is_forgotten() -> None:
    assert {*CHANGED, "idempotency_key"} == {field.name for field in fields(ProcessPayment)}
    tried = {field.name for wish in CHANGED["notify"] for field in fields(wish)}
    assert tried == {field.name for field in fields(NotifyWish)}


def test_the_key_itself_is_no_part_of_what_is_asked() -> None:
    again = a_request(ITEM, idempotency_key="another key of the same")
    assert print_of(again) == print_of(a_request(ITEM))


@given(st.permutations([bill_item("U1"), bill_item("U2", 5), fee_item(), fee_item("U1", 5)]))
def test_the_order_of_the_items_does_not_count(items: list) -> None:
    in_order = a_request(bill_item("U1"), bill_item("U2", 5), fee_item(), fee_item("U1", 5))
    assert print_of(a_request(*items)) == print_of(in_order)


def test_one_input_of_two_operations_is_two_requests() -> None:
    facts = a_request().facts
    assert fingerprint("processPayment", facts) != fingerprint("payOrder", facts)


@pytest.mark.parametrize("length", [SHORTEST, LONGEST])
def test_a_key_of_the_right_length_is_taken(length: int) -> None:
    assert check_key("k" * length) == "k" * length


@pytest.mark.parametrize(
    "key", ["", "k" * (SHORTEST - 1), "k" * (LONGEST + 1), "khoá" * 5, "k" * 15 + "\n", "\0" * 16]
)
def test_a_key_that_could_collide_or_cannot_be_kept_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_key(key)
    assert refused.value.field == "idempotencyKey"
