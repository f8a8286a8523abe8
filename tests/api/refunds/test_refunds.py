"""Refunds by Finance, over the running API and the sandbox."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.refusals import both_languages, without_effect
from tests.support.requests.reversals import (
    by_gateway,
    handed_in,
    postings,
    refund,
    refusal,
    truth,
    void,
)
from tests.support.running_api import Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

gateways = pytest.mark.parametrize(
    ("method", "clearing"),
    [
        ("VNPAY_QR", "gateway_clearing:vnpay"),
        ("FPT_PAY", "wallet_clearing"),
        ("MOMO", "gateway_clearing:momo"),
    ],
)


@gateways
def test_a_full_refund_goes_through_the_same_gateway_and_reopens_the_bill(
    api: Api, sandbox: Sandbox, method: str, clearing: str
) -> None:
    paid = by_gateway(api, sandbox, method)
    amount = paid["amount"]

    payload = refund(api, paid)

    assert payload["errors"] == []
    assert (payload["reversal"]["kind"], payload["reversal"]["status"]) == ("REFUND", "DONE")
    assert payload["payment"]["status"] == "SUCCESS"
    assert payload["payment"]["version"] > paid["version"]
    assert truth(sandbox, paid) == [amount]
    assert postings(api, paid) == [
        ("customer_receivable", "refunds_payable", amount),
        ("refunds_payable", clearing, amount),
    ]
    again = api.new_payment("NV002", contractNumber=paid["contractNumber"], items=paid["items"])
    assert again["status"] == "SUCCESS"


@gateways
def test_parts_add_up_to_the_whole_and_only_then_the_bill_is_open(
    api: Api, sandbox: Sandbox, method: str, clearing: str
) -> None:
    paid = by_gateway(api, sandbox, method)
    part = paid["amount"] // 3
    assert refund(api, paid, part)["reversal"]["status"] == "DONE"
    locked = api.process_payment(
        "NV001", contractNumber=paid["contractNumber"], items=paid["items"]
    )
    assert locked["errors"][0]["code"] in {"BILL_ALREADY_PAID", "BILL_LOCKED"}
    assert refund(api, paid, paid["amount"] - part)["reversal"]["status"] == "DONE"
    assert truth(sandbox, paid) == [part, paid["amount"] - part]
    rows = api.rows("select locked from payment_item where payment = $1", paid["id"])
    assert {row["locked"] for row in rows} == {False}


@both_languages
@pytest.mark.invariant(17)
def test_a_refund_is_limited_to_the_rest(api: Api, sandbox: Sandbox, language: str) -> None:
    paid = by_gateway(api, sandbox)
    assert refund(api, paid, 10_000)["reversal"]["status"] == "DONE"
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, paid, language=language)
    refused = refusal(payload, language)
    assert refused["code"] == "AMOUNT_MISMATCH"
    assert refused["expected"] == paid["amount"] - 10_000
    assert refused["amountAsked"] == paid["amount"]


def test_ten_refunds_at_once_never_exceed_the_payment(api: Api, sandbox: Sandbox) -> None:
    paid = by_gateway(api, sandbox, "FPT_PAY")
    part = paid["amount"] // 4
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: refund(api, paid, part), range(10)))
    taken = [answer["reversal"]["amount"] for answer in answers if answer["reversal"]]
    assert len(taken) == 4
    assert sum(truth(sandbox, paid)) <= sum(taken) <= paid["amount"]


def test_the_same_key_refunds_once(api: Api, sandbox: Sandbox) -> None:
    paid, same = by_gateway(api, sandbox), key()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: refund(api, paid, 10_000, idempotencyKey=same), range(5)))
    assert len({answer["reversal"]["id"] for answer in answers}) == 1
    assert {answer["reversal"]["status"] for answer in answers} == {"DONE"}
    assert truth(sandbox, paid) == [10_000]
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, paid, 10_001, idempotencyKey=same)
    refused = refusal(payload)
    assert (refused["code"], refused["paymentId"]) == ("IDEMPOTENCY_KEY_REUSED", paid["id"])


def test_a_refund_that_the_gateway_declines_fails_and_moves_no_money(
    api: Api, sandbox: Sandbox
) -> None:
    paid = by_gateway(api, sandbox)
    with sandbox.broken("vnpay", "refuse", path="/merchant_webapi"):
        payload = refund(api, paid)
    reversal = payload["reversal"]
    assert reversal["status"] == "FAILED"
    assert "VNPAY" in reversal["failureMessage"]
    assert postings(api, paid) == [
        ("customer_receivable", "refunds_payable", paid["amount"]),
        ("refunds_payable", "customer_receivable", paid["amount"]),
    ]
    assert refund(api, paid)["reversal"]["status"] == "DONE", "it can be tried again"
    assert truth(sandbox, paid) == [paid["amount"]]


@gateways
@pytest.mark.parametrize("fault", ["reset", "500", "truncated"])
def test_a_refund_whose_answer_is_lost_is_unknown_and_made_once(
    api: Api, sandbox: Sandbox, method: str, clearing: str, fault: str
) -> None:
    paid, same = by_gateway(api, sandbox, method), key()
    with sandbox.broken(method.lower().removesuffix("_qr"), fault, after_processing=True):
        payload = refund(api, paid, idempotencyKey=same)
    assert payload["reversal"]["status"] == "UNKNOWN"
    assert postings(api, paid) == [("customer_receivable", "refunds_payable", paid["amount"])]
    again = refund(api, paid, idempotencyKey=same)
    assert (again["reversal"]["status"], again["replayed"]) == ("UNKNOWN", True)
    other = refund(api, paid)
    assert other["errors"][0]["code"] == "AMOUNT_MISMATCH"
    assert truth(sandbox, paid) == [paid["amount"]]


def test_cash_that_was_handed_in_is_refunded_by_accounting(api: Api) -> None:
    paid = handed_in(api)
    payload = refund(api, paid)
    assert payload["reversal"]["status"] == "DONE"
    assert payload["payment"]["custody"] == "HANDED_IN"
    assert postings(api, paid) == [("customer_receivable", "refunds_payable", paid["amount"])]


@both_languages
def test_cash_that_is_still_held_is_voided_not_refunded(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = api.new_payment("NV002")
    api.token("FI001")
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, paid, language=language)
    assert refusal(payload, language)["code"] == "TRANSITION_REFUSED"


@both_languages
def test_an_unpaid_payment_cannot_be_refunded(api: Api, sandbox: Sandbox, language: str) -> None:
    qr = api.new_payment("NV002", method="VNPAY_QR")
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, qr, language=language)
    assert refusal(payload, language)["code"] == "TRANSITION_REFUSED"


@pytest.mark.parametrize(
    ("but", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"reason": ""}, "reason"),
        ({"idempotencyKey": "short"}, "idempotencyKey"),
    ],
)
def test_a_refund_needs_an_amount_a_reason_and_a_key(
    api: Api, sandbox: Sandbox, but: dict[str, Any], field: str
) -> None:
    paid = api.new_payment("NV002", method="VNPAY_QR")
    api.token("FI001")
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, paid, **but)
    refused = refusal(payload)
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", field)


@pytest.mark.parametrize("unknown", ["TXN_UNKNOWN", "", "🧾" * 50])
def test_a_payment_that_does_not_exist_is_neither_voided_nor_refunded(
    api: Api, sandbox: Sandbox, unknown: str
) -> None:
    api.token("FI001")
    with without_effect(api, sandbox, audit=2):
        of_void = void(api, {"id": unknown}, "NV002")
        of_refund = refund(api, {"id": unknown}, 1)
    assert refusal(of_void)["code"] == refusal(of_refund)["code"] == "NOT_FOUND"
