"""Refunds over PayPal: dollars to the cent, once, with postings in đồng."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from resolvers import refund_execution
from tests.support.clocks import SetClock
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.decisions import decide, is_free
from tests.support.requests.paypal import charge, state, verify
from tests.support.requests.reversals import look, postings, refund, refusal, truth
from tests.support.requests.settlement import Desk, desk  # noqa: F401
from tests.support.running_api import Api, Sandbox, key, until

pytest_plugins = ["tests.support.running_api"]

PAID, OWED, AT_PAYPAL = "customer_receivable", "refunds_payable", "gateway_clearing:paypal"


def captured(api: Api, sandbox: Sandbox, **act: Any) -> dict[str, Any]:
    """Return a bill that was paid by PayPal."""
    payment = api.new_payment(method="PAYPAL")
    sandbox.pay(payment_url=payment["paymentUrl"], drop_webhook=True, **act)
    assert verify(api, payment)["payment"]["status"] == "SUCCESS"
    return look(api, payment)


def cents(sandbox: Sandbox, payment: dict[str, Any]) -> int:
    return charge(sandbox, payment)["asked"]


def share(api: Api, reversal: dict[str, Any]) -> int:
    (row,) = api.rows("select share, share_currency from reversal where id = $1", reversal["id"])
    assert row["share_currency"] == "USD"
    return row["share"]


def followed(api: Api, reversal: dict[str, Any], **later: float) -> str:
    """Run the refund's job as it is *seconds* later; return the refund's status."""

    async def clock() -> datetime:
        return await api.context.clock() + timedelta(**later)

    api.run(refund_execution.follow_up(replace(api.context, clock=SetClock(clock)), reversal["id"]))
    (row,) = api.rows("select status from reversal where id = $1", reversal["id"])
    return row["status"]


def test_a_full_refund_returns_every_cent_and_reopens_the_bill(api: Api, sandbox: Sandbox) -> None:
    paid = captured(api, sandbox)
    payload = refund(api, paid)
    assert payload["errors"] == []
    assert (payload["reversal"]["status"], payload["reversal"]["amount"]) == (
        "DONE",
        paid["amount"],
    )
    assert truth(sandbox, paid) == [cents(sandbox, paid)] == [share(api, payload["reversal"])]
    assert postings(api, paid) == [(PAID, OWED, paid["amount"]), (OWED, AT_PAYPAL, paid["amount"])]
    again = api.new_payment("NV002", contractNumber=paid["contractNumber"], items=paid["items"])
    assert again["status"] == "SUCCESS"


def test_parts_add_up_to_the_cent_and_only_then_the_bill_is_open(
    api: Api, sandbox: Sandbox
) -> None:
    paid = captured(api, sandbox)
    third = paid["amount"] // 3
    for part in (third, third + 1):
        assert refund(api, paid, part)["reversal"]["status"] == "DONE"
        assert not is_free(api, paid)
    assert refund(api, paid, paid["amount"] - 2 * third - 1)["reversal"]["status"] == "DONE"
    given = truth(sandbox, paid)
    assert sum(given) == cents(sandbox, paid)
    assert max(given) - min(given) <= 1
    assert is_free(api, paid)


@both_languages
def test_less_than_a_cent_is_refused_with_the_smallest_refund(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = captured(api, sandbox)
    api.token("FI001")
    with without_effect(api, sandbox, audit=1):
        payload = refund(api, paid, 100, language=language)
    refused = refusal(payload, language)
    assert (refused["code"], refused["amountAsked"]) == ("AMOUNT_MISMATCH", 100)
    assert refund(api, paid, refused["expected"])["reversal"]["status"] == "DONE"
    assert truth(sandbox, paid) == [1]


def test_a_refund_that_awaits_approval_has_reserved_its_share(api: Api, sandbox: Sandbox) -> None:
    paid = captured(api, sandbox)
    context = api.context
    api.app.state.context = replace(context, terms=replace(context.terms, four_eyes_above=1))
    try:
        waits = refund(api, paid, paid["amount"] - 10_000)["reversal"]
    finally:
        api.app.state.context = context
    assert waits["status"] == "AWAITING_APPROVAL"
    rest = refund(api, paid, 10_000)["reversal"]
    assert share(api, waits) + share(api, rest) == cents(sandbox, paid)
    assert truth(sandbox, paid) == [share(api, rest)]


def test_a_refund_that_paypal_declines_fails_and_its_share_is_free_again(
    api: Api, sandbox: Sandbox
) -> None:
    paid = captured(api, sandbox)
    with sandbox.broken("paypal", "refuse", path="/refund"):
        payload = refund(api, paid)
    assert payload["reversal"]["status"] == "FAILED"
    assert "PayPal" in payload["reversal"]["failureMessage"]
    assert postings(api, paid) == [(PAID, OWED, paid["amount"]), (OWED, PAID, paid["amount"])]
    assert refund(api, paid)["reversal"]["status"] == "DONE"
    assert truth(sandbox, paid) == [cents(sandbox, paid)]


@pytest.mark.parametrize("fault", ["reset", "500", "truncated"])
@pytest.mark.parametrize("hours", [0, 6], ids=["soon", "when our id may be forgotten"])
def test_a_refund_whose_answer_was_lost_is_found_and_paid_once(
    api: Api, sandbox: Sandbox, fault: str, hours: int
) -> None:
    paid, same = captured(api, sandbox), key()
    part = paid["amount"] // 2
    with sandbox.broken("paypal", fault, path="/refund", after_processing=True):
        payload = refund(api, paid, part, idempotencyKey=same)
    assert payload["reversal"]["status"] == "UNKNOWN"
    assert postings(api, paid) == [(PAID, OWED, part)]
    assert followed(api, payload["reversal"], hours=hours, seconds=10) == "DONE"
    assert truth(sandbox, paid) == [share(api, payload["reversal"])]
    assert refund(api, paid, part, idempotencyKey=same)["reversal"]["status"] == "DONE"
    assert refund(api, paid, paid["amount"] - part)["reversal"]["status"] == "DONE"
    assert sum(truth(sandbox, paid)) == cents(sandbox, paid)


@pytest.mark.parametrize(("hours", "becomes"), [(0, "DONE"), (6, "FAILED")])
def test_a_refund_that_never_arrived_is_sent_again_while_our_id_is_known(
    api: Api, sandbox: Sandbox, hours: int, becomes: str
) -> None:
    paid = captured(api, sandbox)
    with sandbox.broken("paypal", "reset", path="/refund"):
        lost = refund(api, paid)["reversal"]
    assert lost["status"] == "UNKNOWN"
    assert followed(api, lost, hours=hours, seconds=10) == becomes
    assert truth(sandbox, paid) == ([cents(sandbox, paid)] if becomes == "DONE" else [])


def test_a_pending_refund_is_inquired_by_its_number_until_it_is_paid(
    api: Api, sandbox: Sandbox
) -> None:
    paid = captured(api, sandbox, reason="ECHECK")
    waits = refund(api, paid)["reversal"]
    assert waits["status"] == "UNKNOWN"
    (row,) = api.rows("select gateway_id from reversal where id = $1", waits["id"])
    assert row["gateway_id"]

    def webhook_answers() -> list[int]:
        answer = sandbox.http.get(f"/_sandbox/webhooks?reference={paid['gatewayReference']}")
        return [call["status_code"] for it in answer.json()["webhooks"] for call in it["calls"]]

    # The webhooks of the capture and the refund are accepted, but only our inquiry is evidence.
    until(
        lambda: webhook_answers() == [200] * 3,
        why="PayPal reports the capture once and its refund twice",
    )
    since = sandbox.last_request
    assert followed(api, waits, seconds=10) == "DONE"
    (request,) = sandbox.requests("paypal", since=since)
    assert (request["method"], request["path"]) == (
        "GET",
        f"/v2/payments/refunds/{row['gateway_id']}",
    )
    assert truth(sandbox, paid) == [cents(sandbox, paid)]


def test_a_payment_of_too_few_dollars_is_refunded_as_it_came(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="PAYPAL")
    sandbox.pay(payment_url=payment["paymentUrl"], amount=123, drop_webhook=True)
    verify(api, payment)
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    decide(api, payment, "REFUND")
    (row,) = api.rows(
        "select id, status, amount, currency, share from reversal where payment = $1", payment["id"]
    )
    assert tuple(row)[1:] == ("PENDING", 123, "USD", None)
    assert followed(api, {"id": row["id"]}, seconds=1) == "DONE"
    assert truth(sandbox, payment) == [123]
    assert postings(api, payment) == [("suspense", OWED, 123), (OWED, AT_PAYPAL, 123)]


def test_paypals_file_is_matched_in_dollars(api: Api, sandbox: Sandbox, desk: Desk) -> None:  # noqa: F811
    paid, lost = captured(api, sandbox), captured(api, sandbox)
    assert refund(api, paid, 50_000)["reversal"]["status"] == "DONE"
    with sandbox.broken("paypal", "reset", path="/refund", after_processing=True):
        assert refund(api, lost)["reversal"]["status"] == "UNKNOWN"
    desk.imports(*desk.file("paypal"), gateway="paypal")
    for payment in (paid, lost):
        lines = desk.of(payment)
        assert {item["result"] for item in lines} == {"MATCHED"}
        assert [item["currency"] for item in lines] == ["USD", "USD"]
    assert look(api, lost)["reversals"][0]["status"] == "DONE", "the file proves it"
    left_out = captured(api, sandbox)
    line = next(
        item for item in desk.file("paypal") if item.startswith(left_out["gatewayReference"])
    )
    refund(api, left_out)
    desk.imports(line.replace(",payment,", ",refund,"), gateway="paypal")
    (ours,) = [item for item in desk.of(left_out) if item["result"] == "OURS_ONLY"]
    assert (ours["ours"], ours["currency"]) == (cents(sandbox, left_out), "USD")
