"""The exact text of a record."""

from __future__ import annotations

import json

from domain.methods import PaymentMethod
from domain.payments import PaymentStatus
from domain.receipts import payload
from tests.support.builders import LATER, a_payment, bill_item, fee_item

EXPECTED = (
    '{"amount":200000,"business_date":"2026-03-04","completed_at":"2026-03-04T05:09:07.000000+00:00",'
    '"contract_number":"SGFDN1015","created_at":"2026-03-04T05:06:07.000000+00:00","currency":"VND",'
    '"gateway":null,"gateway_reference":null,"items":[{"amount":200000,'
    '"id":"U23SG0073526","type":"BILL"}],"late":false,"method":"CASH","order_id":null,"staff_id":"NV001",'
    '"status":"SUCCESS","transaction_id":"TXN_1","version":4}'
)


def test_the_text_is_canonical_to_the_byte() -> None:
    paid = a_payment(PaymentStatus.PENDING, method=PaymentMethod.CASH).become(
        PaymentStatus.SUCCESS, LATER
    )
    assert payload(paid) == EXPECTED


def test_the_order_of_the_items_does_not_change_the_text() -> None:
    sorted_ = a_payment(items=(bill_item("U1"), bill_item("U2"), fee_item()))
    unsorted = a_payment(items=(fee_item(), bill_item("U2"), bill_item("U1")))
    assert payload(sorted_) == payload(unsorted)


def test_each_outcome_has_a_text_of_its_own() -> None:
    texts = {payload(a_payment(status)) for status in PaymentStatus}
    assert len(texts) == len(PaymentStatus)


def test_the_text_names_the_contract_and_no_customer() -> None:
    facts = json.loads(payload(a_payment()))
    assert "Nguyen" not in json.dumps(facts, ensure_ascii=False)
    assert "0987654321" not in json.dumps(facts)
    assert "receipt-token" not in json.dumps(facts)
