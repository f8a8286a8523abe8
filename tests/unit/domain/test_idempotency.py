"""The facts by which two requests are the same one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bills import ItemType
from domain.idempotency import MAX_KEY_LENGTH, MIN_KEY_LENGTH, check_key, fingerprint
from domain.methods import PaymentMethod
from domain.payment_request import NotificationChannels, ProcessPayment
from domain.refusals import InvalidInput
from tests.support.builders import a_request, bill_item, fee_item

ITEM = bill_item()
CHANGED: dict[str, list[Any]] = {
    "contract_number": ["SGFDN2000"],
    "method": [method for method in PaymentMethod if method is not PaymentMethod.CASH],
    "items": [
        (ITEM, fee_item()),
        (replace(ITEM, id="U2"),),
        (replace(ITEM, amount=200_001),),
        (replace(ITEM, type=ItemType.FEE),),
    ],
    "customer_phone": ["0987654321"],
    "card_token": ["tok_visa"],
    "notify": [
        NotificationChannels(hifpt=False),
        NotificationChannels(sms_zalo=False),
        NotificationChannels(email=True),
    ],
}


def fingerprint_of(request: ProcessPayment) -> bytes:
    return fingerprint("processPayment", request.facts)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in CHANGED.items() for value in values]
)
def test_another_value_of_a_field_is_another_request(name: str, value: Any) -> None:
    assert fingerprint_of(replace(a_request(ITEM), **{name: value})) != fingerprint_of(
        a_request(ITEM)
    )


def test_no_field_is_forgotten() -> None:
    assert {*CHANGED, "idempotency_key"} == {field.name for field in fields(ProcessPayment)}
    tried = {field.name for wish in CHANGED["notify"] for field in fields(wish)}
    assert tried == {field.name for field in fields(NotificationChannels)}


def test_the_key_is_not_in_the_fingerprint() -> None:
    again = a_request(ITEM, idempotency_key="another key of the same")
    assert fingerprint_of(again) == fingerprint_of(a_request(ITEM))


@given(st.permutations([bill_item("U1"), bill_item("U2", 5), fee_item(), fee_item("U1", 5)]))
def test_the_order_of_the_items_does_not_count(items: list) -> None:
    in_order = a_request(bill_item("U1"), bill_item("U2", 5), fee_item(), fee_item("U1", 5))
    assert fingerprint_of(a_request(*items)) == fingerprint_of(in_order)


def test_the_same_facts_of_another_operation_are_another_request() -> None:
    facts = a_request().facts
    assert fingerprint("processPayment", facts) != fingerprint("payOrder", facts)


@pytest.mark.parametrize("length", [MIN_KEY_LENGTH, MAX_KEY_LENGTH])
def test_a_key_within_the_bounds_is_accepted(length: int) -> None:
    assert check_key("k" * length) == "k" * length


@pytest.mark.parametrize(
    "key",
    [
        "",
        "k" * (MIN_KEY_LENGTH - 1),
        "k" * (MAX_KEY_LENGTH + 1),
        "khoá" * 5,
        "k" * 15 + "\n",
        "\0" * 16,
    ],
)
def test_a_short_long_or_unprintable_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_key(key)
    assert caught.value.field == "idempotencyKey"
