"""Refunds of a customer's credit: an excess, or money that two people credited."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mobinet.verify import verify
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, is_free, refunds, vote
from tests.support.requests.held_payments import paid_little
from tests.support.requests.reversals import look, refund, refusal, truth
from tests.support.running_api import Api, Sandbox, key, until

pytest_plugins = ["tests.support.running_api"]

EXCESS = 70_000


@pytest.fixture
def overpaid(api: Api, sandbox: Sandbox) -> dict[str, Any]:
    qr = api.new_payment(method="VNPAY_QR")
    sandbox.pay(reference=qr["gatewayReference"], amount=qr["amount"] + EXCESS)
    until(lambda: look(api, qr)["status"] == "SUCCESS", why="the webhook did not pay it")
    assert books(api, qr)["customer_credit"] == EXCESS
    return qr


def test_an_excess_is_refunded_in_parts_and_the_bill_stays_paid(
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
    assert {row["posting_status"] for row in rows} == {"NONE"}, "nothing is recorded in Revenue"


@both_languages
def test_a_refund_of_a_credit_is_limited_to_the_credit(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any], language: str
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, overpaid, EXCESS + 1, of="CREDIT", language=language)
    refused = refusal(payload, language)
    assert (refused["code"], refused["expected"], refused["amountAsked"]) == (
        "AMOUNT_MISMATCH",
        EXCESS,
        EXCESS + 1,
    )
    assert refund(api, overpaid)["reversal"]["status"] == "DONE"
    assert books(api, overpaid)["customer_credit"] == EXCESS, (
        "the refund of the bill does not touch it"
    )
    assert refund(api, overpaid, EXCESS, of="CREDIT")["reversal"]["status"] == "DONE"
    assert books(api, overpaid) == {}


def test_the_credit_of_a_cancelled_payment_can_be_refunded(api: Api, sandbox: Sandbox) -> None:
    payment = paid_little(api, sandbox)
    decide(api, payment, "CREDIT")
    came = payment["amount"] - 1000
    assert refund(api, payment, came)["errors"][0]["code"] == "TRANSITION_REFUSED"
    reversal = refund(api, payment, came, of="CREDIT")["reversal"]
    # The gateway does not know this money, so it declines, and the credit is restored.
    assert reversal["status"] == "FAILED"
    assert books(api, payment)["customer_credit"] == came
    assert is_free(api, payment)


def test_a_large_credit_is_refunded_by_two_people(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any]
) -> None:
    before = api.context
    api.app.state.context = replace(before, terms=replace(before.terms, four_eyes_above=EXCESS - 1))
    try:
        reversal = refund(api, overpaid, EXCESS, of="CREDIT")["reversal"]
    finally:
        api.app.state.context = before
    assert reversal["status"] == "AWAITING_APPROVAL"
    again = refund(api, overpaid, 1, of="CREDIT")["errors"]
    assert [(item["code"], item["expected"]) for item in again] == [("AMOUNT_MISMATCH", 0)]
    assert vote(api, of(api, overpaid), "APPLY", "FI002")["errors"] == []
    assert refunds(api, sandbox, overpaid) == [EXCESS]


def test_a_key_of_a_refunded_credit_cannot_refund_the_bill(
    api: Api, sandbox: Sandbox, overpaid: dict[str, Any]
) -> None:
    same = key()
    assert refund(api, overpaid, 500, of="CREDIT", idempotencyKey=same)["errors"] == []
    assert refund(api, overpaid, 500, of="CREDIT", idempotencyKey=same)["replayed"]
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, overpaid, 500, idempotencyKey=same)
    assert refusal(payload)["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_every_invariant_holds_after_the_tests_above(api: Api) -> None:
    """The last test of this module checks what all tests above it have written."""
    report: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert holds, "\n".join(report)
