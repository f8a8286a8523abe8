"""What a customer has with us is given back too: what was paid beyond the bill, and what two people credited."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mobinet.verify import verify
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, is_free, refunds, say
from tests.support.requests.held_payments import paid_little
from tests.support.requests.reversals import look, refund, refusal, truth
from tests.support.running_api import Api, Sandbox, key, until

pytest_plugins = ["tests.support.running_api"]

EXCESS = 70_000


@pytest.fixture
def overpaid(api: Api, sandbox: Sandbox) -> dict[str, Any]:
    qr = api.paid(method="VNPAY_QR")
    sandbox.pay(reference=qr["gatewayReference"], amount=qr["amount"] + EXCESS)
    until(lambda: look(api, qr)["status"] == "SUCCESS", why="the webhook did not pay it")
    assert books(api, qr)["customer_credit"] == EXCESS
    return qr


def test_what_was_paid_too_much_goes_back_in_parts_and_the_bill_stays_paid(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any]
) -> None:
    for part in (EXCESS - 1000, 1000):
        reversal = refund(api, overpaid, part, of="CREDIT")["reversal"]
        assert (reversal["status"], reversal["amount"]) == ("DONE", part)
    assert truth(sandbox, overpaid) == [EXCESS - 1000, 1000]
    assert books(api, overpaid) == {
        "gateway_clearing:vnpay": -overpaid["amount"],
        "customer_receivable": overpaid["amount"],
    }
    assert not is_free(api, overpaid)
    rows = api.rows("select posting_status from reversal where payment = $1", overpaid["id"])
    assert {row["posting_status"] for row in rows} == {"NONE"}, "Revenue never heard of it"


@both_languages
def test_no_more_than_the_credit_is_given_back_of_it_and_none_of_the_bill(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any], language: str
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, overpaid, EXCESS + 1, of="CREDIT", language=language)
    no = refusal(payload, language)
    assert (no["code"], no["expected"], no["amountAsked"]) == ("AMOUNT_MISMATCH", EXCESS, EXCESS + 1)  # fmt: skip
    assert refund(api, overpaid)["reversal"]["status"] == "DONE"
    assert books(api, overpaid)["customer_credit"] == EXCESS, "the bill's money is another"
    assert refund(api, overpaid, EXCESS, of="CREDIT")["reversal"]["status"] == "DONE"
    assert books(api, overpaid) == {}


def test_what_two_people_credited_goes_back_though_its_payment_came_to_nothing(
    api: Api, sandbox: Sandbox
) -> None:
    payment = paid_little(api, sandbox)
    decide(api, payment, "CREDIT")
    came = payment["amount"] - 1000
    assert refund(api, payment, came)["errors"][0]["code"] == "TRANSITION_REFUSED"
    asked = refund(api, payment, came, of="CREDIT")["reversal"]
    # The gateway has never seen this money: it declines, and the customer has it with us again.
    assert asked["status"] == "FAILED"
    assert books(api, payment)["customer_credit"] == came
    assert is_free(api, payment)


def test_a_large_credit_is_given_back_by_two_people(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any]
) -> None:
    before = api.context
    api.app.state.context = replace(before, terms=replace(before.terms, four_eyes_above=EXCESS - 1))
    try:
        asked = refund(api, overpaid, EXCESS, of="CREDIT")["reversal"]
    finally:
        api.app.state.context = before
    assert asked["status"] == "AWAITING_APPROVAL"
    again = refund(api, overpaid, 1, of="CREDIT")["errors"]
    assert [(item["code"], item["expected"]) for item in again] == [("AMOUNT_MISMATCH", 0)]
    assert say(api, of(api, overpaid), "APPLY", "FI002")["errors"] == []
    assert refunds(api, sandbox, overpaid) == [EXCESS]


def test_a_key_stands_for_one_of_the_two(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any]
) -> None:
    same = key()
    assert refund(api, overpaid, 500, of="CREDIT", idempotencyKey=same)["errors"] == []
    assert refund(api, overpaid, 500, of="CREDIT", idempotencyKey=same)["replayed"]
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, overpaid, 500, idempotencyKey=same)
    assert refusal(payload)["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_after_all_this_every_invariant_of_the_books_holds(api: Api) -> None:
    """The last of this file: over everything that the tests above it have left."""
    told: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=told.append)
    )
    assert holds, "\n".join(told)
