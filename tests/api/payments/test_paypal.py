"""PayPal through the whole API: approval and capture in dollars, lost answers, forged calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from domain.money import Rate
from tests.support.requests.paypal import charge, state, verify
from tests.support.running_api import CANCEL, Api, Sandbox

pytest_plugins = ["tests.support.running_api"]


def test_an_approved_order_is_captured_and_the_bill_is_paid_in_dong(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="PAYPAL")
    assert (payment["status"], payment["gateway"]) == ("PROCESSING", "PAYPAL")
    order_charge = charge(sandbox, payment)
    assert (order_charge["asked"], order_charge["currency"]) == (
        -(-payment["amount"] // 260),
        "USD",
    )
    response = sandbox.pay(payment_url=payment["paymentUrl"])
    assert [answer["status_code"] for answer in response["webhooks"]] == [200]
    assert state(api, payment) == ("PROCESSING", None), "approved is not paid"
    jobs = api.rows("select payload from pgqueuer where entrypoint = 'inquire'")
    subjects = [orjson.loads(job["payload"])["subject"] for job in jobs]
    assert payment["id"] in subjects, "the worker inquires, which captures the order"
    assert verify(api, payment)["payment"]["status"] == "SUCCESS"
    assert charge(sandbox, payment)["status"] == "paid"
    (posting,) = api.rows(
        "select debit, credit, p.amount, currency from posting p join entry e on e.id = p.entry"
        " where e.payment = $1",
        payment["id"],
    )
    assert tuple(posting) == (
        "gateway_clearing:paypal",
        "customer_receivable",
        payment["amount"],
        "VND",
    )


def test_a_capture_whose_answer_was_lost_is_found_and_happens_once(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="PAYPAL")
    sandbox.pay(payment_url=payment["paymentUrl"], drop_webhook=True)
    with sandbox.broken("paypal", "reset", path="/capture", times=1, after_processing=True):
        verify(api, payment)
    if state(api, payment)[0] != "SUCCESS":  # its webhook may come before our inquiry
        assert verify(api, payment)["payment"]["status"] == "SUCCESS"
    assert charge(sandbox, payment)["status"] == "paid"


def test_an_approval_after_the_end_is_never_captured(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="PAYPAL")
    given = {"id": payment["id"], "reason": "Khách trả tiền mặt"}
    cancelled = api.get(CANCEL, given, token=api.token("NV002"))
    assert cancelled["payment"]["status"] == "CANCELLED"
    sandbox.pay(payment_url=payment["paymentUrl"])
    verify(api, payment)
    assert state(api, payment) == ("CANCELLED", None)
    assert charge(sandbox, payment)["status"] == "approved"


def test_less_than_the_requested_amount_is_held(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="PAYPAL")
    sandbox.pay(payment_url=payment["paymentUrl"], amount=1)
    verify(api, payment)
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")


def test_a_forged_call_is_refused_and_moves_nothing(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="PAYPAL")
    response = sandbox.pay(payment_url=payment["paymentUrl"], bad_signature=True)
    assert [answer["status_code"] for answer in response["webhooks"]] == [401]
    assert state(api, payment) == ("PROCESSING", None)


@pytest.mark.parametrize("rate", [None, "old"])
def test_without_a_recent_exchange_rate_nothing_is_charged(api: Api, rate: str | None) -> None:
    terms = api.context.terms
    assert terms.usd_rate
    old = Rate(dong_per_dollar=26_000, day=terms.usd_rate.day - timedelta(days=9))
    contract = api.contract()
    given = {"contractNumber": contract, "items": api.owed(contract)[:1]}
    token = api.token("NV002")
    assert token
    context = replace(api.context, terms=replace(terms, usd_rate=old if rate else None))
    before_context, api.app.state.context = api.context, context
    try:
        before = api.dump()
        (refusal,) = api.process_payment(method="PAYPAL", **given)["errors"]
        after = api.dump()
    finally:
        api.app.state.context = before_context
    assert (refusal["code"], refusal["gateway"]) == ("GATEWAY_UNAVAILABLE", "PAYPAL")
    assert "CASH" in refusal["alternatives"]
    assert {name for name in after if after[name] != before[name]} <= {"audit_event"}
