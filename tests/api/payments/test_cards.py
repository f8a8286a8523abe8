"""Card payments through the whole API: by page or token, declined, lost, and never stored."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.attempts import Attempt
from domain.methods import GatewayName
from domain.payment_evidence import Evidence
from resolvers import payment_inquiry, refund_execution
from tests.support.clocks import SetClock
from tests.support.gateways.signing import stripe_signature
from tests.support.requests.reversals import look, refund, truth
from tests.support.running_api import CANCEL, PROCESS, VERIFY, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

SECRET = "whsec_sandbox-stripe-secret"
CHARGED, REFUSED = "pm_card_visa", "pm_card_visa_chargeDeclinedInsufficientFunds"


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def entries(api: Api, payment: dict[str, Any]) -> list[tuple[str, str, int]]:
    rows = api.rows(
        "select debit, credit, amount from posting p join entry e on e.id = p.entry"
        " where e.payment = $1",
        payment["id"],
    )
    return [(row["debit"], row["credit"], row["amount"]) for row in rows]


def charges(sandbox: Sandbox, payment: dict[str, Any]) -> list[str]:
    found = sandbox.truth["charges"]
    reference = payment["gatewayReference"]
    return [item["status"] for item in found if item["reference"] == reference]


def test_a_page_is_paid_and_its_money_is_in_the_clearing_account(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="CARD")
    assert (payment["status"], payment["gateway"]) == ("PROCESSING", "STRIPE")
    assert payment["paymentUrl"]
    assert payment["qr"] is None
    response = sandbox.pay(payment_url=payment["paymentUrl"])
    assert [answer["status_code"] for answer in response["webhooks"]] == [200]
    assert state(api, payment) == ("SUCCESS", None)
    assert entries(api, payment) == [
        ("gateway_clearing:stripe", "customer_receivable", payment["amount"])
    ]


def test_a_token_is_charged_at_once_and_once(api: Api, sandbox: Sandbox) -> None:
    given = {"idempotencyKey": key(), "paymentToken": CHARGED, "contractNumber": api.contract()}
    given["items"] = api.owed(given["contractNumber"])[:1]
    paid = api.new_payment(method="CARD", **given)
    assert paid["status"] == "SUCCESS"
    again = api.process_payment(method="CARD", **given)
    assert (again["replayed"], again["payment"]["id"]) == (True, paid["id"])
    other = api.process_payment(method="CARD", **given | {"paymentToken": "pm_card_mastercard"})
    assert [error["code"] for error in other["errors"]] == ["IDEMPOTENCY_KEY_REUSED"]
    assert charges(sandbox, paid) == ["paid"]


def test_a_declined_token_fails_with_a_reason_and_frees_the_bill(api: Api) -> None:
    contract = api.contract()
    declined = api.new_payment(method="CARD", paymentToken=REFUSED, contractNumber=contract)
    assert declined["status"] == "FAILED"
    assert declined["failure"]["code"] == "insufficient_funds"
    assert "không đủ tiền" in declined["failure"]["message"]
    assert entries(api, declined) == []
    assert api.new_payment(contractNumber=contract)["status"] == "SUCCESS"


@pytest.mark.parametrize("fault", ["reset", "500", "truncated"])
def test_a_charge_whose_answer_was_lost_is_found_and_not_repeated(
    api: Api, sandbox: Sandbox, fault: str
) -> None:
    with sandbox.broken(
        "stripe", fault, path="/v1/payment_intents", times=1, after_processing=True
    ):
        lost = api.new_payment(method="CARD", paymentToken=CHARGED)
    if state(api, lost)[0] != "SUCCESS":  # its event may come before our inquiry
        assert lost["needsVerification"] is True
        payload = api.get(VERIFY, {"id": lost["id"]}, token=api.token("NV002"))
        assert payload["errors"] == []
    assert state(api, lost) == ("SUCCESS", None)
    assert charges(sandbox, lost) == ["paid"]


def test_a_page_whose_address_was_lost_is_found_again(api: Api, sandbox: Sandbox) -> None:
    with sandbox.broken("stripe", "reset", times=1, after_processing=True):
        lost = api.new_payment(method="CARD")
    assert (lost["status"], lost["needsVerification"]) == ("PROCESSING", True)
    assert lost["paymentUrl"] is None
    payload = api.get(VERIFY, {"id": lost["id"]}, token=api.token("NV002"))
    found = payload["payment"]
    assert found["paymentUrl"]
    assert found["needsVerification"] is False
    sandbox.pay(payment_url=found["paymentUrl"])
    assert state(api, lost) == ("SUCCESS", None)


def cancelled(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    given = {"id": payment["id"], "reason": "Khách trả tiền mặt"}
    return api.get(CANCEL, given, token=api.token("NV002"))


def test_a_page_that_is_cancelled_is_closed_and_nobody_can_pay_it(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="CARD")
    assert cancelled(api, payment)["payment"]["status"] in {"CANCELLED", "EXPIRED"}
    assert charges(sandbox, payment) == ["expired"]
    assert sandbox.pay(payment_url=payment["paymentUrl"])["status"] == "expired"
    assert entries(api, payment) == []


def test_a_page_is_closed_when_the_time_to_pay_is_over(api: Api, sandbox: Sandbox) -> None:
    """Stripe leaves a page open for at least half an hour; the bill is free earlier."""
    payment = api.new_payment(method="CARD")

    async def later() -> datetime:
        return await api.context.clock() + timedelta(minutes=16)

    api.run(payment_inquiry.follow_up(replace(api.context, clock=SetClock(later)), payment["id"]))
    assert state(api, payment) == ("EXPIRED", None)
    assert charges(sandbox, payment) == ["expired"]


def test_a_card_that_waits_for_its_bank_is_closed_too(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="CARD", paymentToken="pm_card_authenticationRequired")
    assert payment["paymentUrl"]
    assert cancelled(api, payment)["payment"]["status"] in {"CANCELLED", "EXPIRED"}
    assert charges(sandbox, payment) == ["expired"]


def test_a_page_that_is_paid_while_it_is_cancelled_is_a_success(
    api: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer pays between the inquiry and the closing, and Stripe refuses the closing."""
    payment = api.new_payment(method="CARD")
    gateway: Any = api.context.gateways[GatewayName.STRIPE]
    inquire = gateway.inquire

    async def then_pays(attempt: Attempt, *, now: datetime) -> Evidence:
        evidence = await inquire(attempt, now=now)
        act = {"payment_url": payment["paymentUrl"], "drop_webhook": True}
        await asyncio.to_thread(sandbox.pay, **act)
        return evidence

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "inquire", then_pays)
        refused = cancelled(api, payment)
    assert [error["code"] for error in refused["errors"]] == ["TRANSITION_REFUSED"]
    assert state(api, payment) == ("SUCCESS", None)


def test_the_payment_of_a_page_that_could_not_be_closed_is_found(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="CARD")
    with sandbox.broken("stripe", "500", path="/expire"):
        assert cancelled(api, payment)["payment"]["status"] == "CANCELLED"
    sandbox.pay(payment_url=payment["paymentUrl"])
    (claim,) = api.rows(
        "select claimed_at from attempt where reference = $1", payment["gatewayReference"]
    )
    assert claim["claimed_at"], "an inquiry verifies an event about an ended payment"


def test_a_wrong_amount_is_held(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment(method="CARD")
    sandbox.pay(payment_url=payment["paymentUrl"], amount=1000)
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert entries(api, payment) == [("gateway_clearing:stripe", "suspense", 1000)]


def test_a_forged_event_is_refused_and_an_unknown_one_is_stored(api: Api) -> None:
    body = json.dumps({"id": f"evt_{key()}", "type": "customer.created", "data": {"object": {}}})
    stamp = str(int(time.time()))
    proof = stripe_signature(SECRET, stamp, body.encode())
    for signature, status in ((proof, 200), ("0" * 64, 400)):
        headers = {"Stripe-Signature": f"t={stamp},v1={signature}"}
        answer = api.http.post("/webhooks/stripe", content=body, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("but", "language", "word"),
    [
        ({"method": "CASH", "paymentToken": CHARGED}, "vi", "bằng thẻ"),
        ({"method": "VNPAY_QR", "paymentToken": CHARGED}, "en", "by card"),
        ({"method": "CARD", "paymentToken": ""}, "vi", "pm_"),
        ({"method": "CARD", "paymentToken": "4000 not a card"}, "en", "pm_"),
    ],
)
def test_an_invalid_token_is_refused_without_effect(
    api: Api, but: dict[str, str], language: str, word: str
) -> None:
    contract = api.contract()
    given = {"idempotencyKey": key(), "contractNumber": contract, "items": api.owed(contract)[:1]}
    token = api.token("NV002")
    before = api.dump()
    (refusal,) = api.get(PROCESS, {"input": given | but}, token=token, language=language)["errors"]
    assert (refusal["code"], refusal["field"]) == ("INVALID_INPUT", "paymentToken")
    assert word in refusal["message"]
    after = api.dump()
    assert {name for name in after if after[name] != before[name]} <= {"audit_event"}


def test_a_token_is_stored_nowhere(api: Api) -> None:
    paid = api.new_payment(method="CARD", paymentToken=CHARGED)
    assert paid["status"] == "SUCCESS"
    tables = api.rows("select tablename from pg_tables where schemaname = 'public'")
    for (name,) in tables:
        rows = api.rows(f"select t::text as row from \"{name}\" t where t::text like '%{CHARGED}%'")
        assert rows == [], name


# Refunds


def test_a_card_is_refunded_in_parts_to_the_last_dong(api: Api, sandbox: Sandbox) -> None:
    paid = api.new_payment(method="CARD", paymentToken=CHARGED)
    first = refund(api, paid, 1000)
    assert first["reversal"]["status"] == "DONE"
    rest = refund(api, paid, paid["amount"] - 1000)
    assert rest["reversal"]["status"] == "DONE"
    assert sorted(truth(sandbox, paid)) == sorted([1000, paid["amount"] - 1000])


def test_a_refund_whose_answer_was_lost_is_found_and_paid_once(api: Api, sandbox: Sandbox) -> None:
    paid = api.new_payment(method="CARD", paymentToken=CHARGED)
    with sandbox.broken("stripe", "reset", path="/v1/refunds", times=1, after_processing=True):
        lost = refund(api, paid)
    assert lost["reversal"]["status"] == "UNKNOWN"

    async def later() -> datetime:
        return await api.context.clock() + timedelta(seconds=10)

    api.run(
        refund_execution.follow_up(
            replace(api.context, clock=SetClock(later)), lost["reversal"]["id"]
        )
    )
    assert look(api, paid)["reversals"][0]["status"] == "DONE"
    assert truth(sandbox, paid) == [paid["amount"]]
