"""Webhooks of VNPay and FPT Pay: answers, stored events, repeats, forgeries and faults."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from resolvers import webhooks
from tests.support.gateways.calls import (
    answer_of,
    call,
    events,
    ipn,
    notice,
    notify,
    qr,
    retried,
    signed,
    state,
    wallet,
)
from tests.support.running_api import CANCEL, Api, Sandbox

pytest_plugins = ["tests.support.running_api"]

__all__ = ["qr", "wallet"]

# ── VNPay ────────────────────────────────────────────────────────────────────────────────────────


def test_a_payment_is_confirmed_once_and_a_repeat_is_answered_as_confirmed(
    api: Api, qr: dict[str, Any]
) -> None:
    query = signed(ipn(qr))
    assert call(api, query) == "00"
    assert state(api, qr) == ("SUCCESS", None)
    assert call(api, query) == "02"
    (event,) = events(api, qr["gatewayReference"])
    assert (event["outcome"], event["deliveries"]) == ("HANDLED", 2)
    assert event["query"] == query


@pytest.mark.invariant(12)
def test_one_event_in_ten_calls_at_once_is_applied_once(api: Api, qr: dict[str, Any]) -> None:
    query = signed(ipn(qr))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: call(api, query), range(10)))
    assert set(answers) <= {"00", "02"}
    (entries,) = api.rows("select count(*) from entry where payment = $1", qr["id"])
    assert entries["count"] == 1
    assert state(api, qr) == ("SUCCESS", None)


def test_a_call_with_an_unknown_reference_is_answered_so_and_stored(
    api: Api, qr: dict[str, Any]
) -> None:
    unknown = "MB" + "0" * 18
    assert call(api, signed(ipn(qr, vnp_TxnRef=unknown))) == "01"
    (event,) = events(api, unknown)
    assert event["outcome"] == "UNMATCHED"


def test_too_little_is_held_and_the_answer_names_a_wrong_amount(
    api: Api, qr: dict[str, Any]
) -> None:
    assert call(api, signed(ipn(qr, vnp_Amount=str(qr["amount"] * 100 - 100)))) == "04"
    assert state(api, qr) == ("PROCESSING", "AMOUNT_MISMATCH")
    (case,) = api.rows("select kind, amount from money_case where payment = $1", qr["id"])
    assert (case["kind"], case["amount"]) == ("AMOUNT_MISMATCH", qr["amount"] - 1)
    (posting,) = api.rows(
        "select credit, amount from posting join entry on entry.id = entry where payment = $1",
        qr["id"],
    )
    assert (posting["credit"], posting["amount"]) == ("suspense", qr["amount"] - 1)


def test_too_much_pays_the_bill_and_the_rest_is_the_customers(api: Api, qr: dict[str, Any]) -> None:
    assert call(api, signed(ipn(qr, vnp_Amount=str(qr["amount"] * 100 + 5000)))) == "00"
    assert state(api, qr) == ("SUCCESS", None)
    postings = api.rows(
        "select credit, amount from posting join entry on entry.id = entry where payment = $1",
        qr["id"],
    )
    assert {row["credit"]: row["amount"] for row in postings} == {
        "customer_receivable": qr["amount"],
        "customer_credit": 50,
    }


@pytest.mark.parametrize("code", ["07", "04"])
def test_a_suspicion_is_no_success(api: Api, qr: dict[str, Any], code: str) -> None:
    status = {"07": "07", "04": "04"}[code]
    call(
        api,
        signed(
            ipn(qr, vnp_ResponseCode="00" if code == "04" else code, vnp_TransactionStatus=status)
        ),
    )
    assert state(api, qr) == ("PROCESSING", "GATEWAY_SUSPICIOUS")


def test_a_decline_fails_the_payment_and_frees_its_bill(api: Api, qr: dict[str, Any]) -> None:
    assert call(api, signed(ipn(qr, vnp_ResponseCode="51", vnp_TransactionStatus="02"))) == "00"
    assert state(api, qr) == ("FAILED", None)
    again = api.new_payment(contractNumber=qr["contractNumber"], items=qr["items"])
    assert again["status"] == "SUCCESS"


def test_a_failure_after_a_success_is_stale(api: Api, qr: dict[str, Any]) -> None:
    assert call(api, signed(ipn(qr))) == "00"
    late = ipn(qr, vnp_ResponseCode="24", vnp_TransactionStatus="02")
    assert call(api, signed(late)) == "02"
    assert state(api, qr) == ("SUCCESS", None)
    assert {row["outcome"] for row in events(api, qr["gatewayReference"])} == {"HANDLED", "STALE"}


def test_money_after_an_end_waits_for_an_inquiry(api: Api, qr: dict[str, Any]) -> None:
    cancelled = api.get(
        CANCEL, {"id": qr["id"], "reason": "customer left"}, token=api.token("NV002")
    )
    assert cancelled["payment"]["status"] == "CANCELLED"
    call(api, signed(ipn(qr)))
    assert state(api, qr) == ("CANCELLED", None)
    jobs = api.rows("select entrypoint from pgqueuer where payload::text is not null")
    assert "inquire" in {row["entrypoint"] for row in jobs}


# ── calls that are refused ───────────────────────────────────────────────────────────────────────


def tampered(fields: dict[str, str]) -> Iterator[tuple[str, str]]:
    good = signed(fields)
    yield "another secret", signed(fields, b"another secret")
    yield "a changed amount", good.replace(fields["vnp_Amount"], "100", 1)
    yield "a changed reference", good.replace(fields["vnp_TxnRef"], "MB1", 1)
    yield "no signature", good.partition("&vnp_SecureHash")[0]
    yield "half a signature", good[:-20]
    yield "a repeated parameter", good + "&vnp_ResponseCode=00"
    yield "another terminal", signed(fields | {"vnp_TmnCode": "SOMEBODY"})
    yield "nothing", ""


def test_a_forged_call_changes_nothing_and_suppresses_no_genuine_one(
    api: Api, qr: dict[str, Any]
) -> None:
    fields = ipn(qr)
    before = api.dump()
    calls = list(tampered(fields))
    for name, query in calls:
        assert call(api, query) == "97", name
    after = api.dump()
    changed = {name for name in after if before[name] != after[name]}
    assert changed == {"webhook_event"}, "the quarantine and nothing else"
    stored = (after["webhook_event"] - before["webhook_event"]).total()
    assert stored == len(calls)
    assert call(api, signed(fields)) == "00"
    assert state(api, qr) == ("SUCCESS", None)


def test_a_signed_code_that_is_too_long_is_refused_without_a_fault(
    api: Api, qr: dict[str, Any]
) -> None:
    code = {"vnp_ResponseCode": "5" * 100, "vnp_TransactionStatus": "02"}
    assert call(api, signed(ipn(qr, **code))) == "97"
    assert state(api, qr) == ("PROCESSING", None)


def test_a_body_past_the_cap_is_not_read(api: Api) -> None:
    answer = api.http.post("/webhooks/fpt-pay", content=b"x" * (64 * 1024 + 1))
    assert answer.status_code == 413
    assert api.http.post("/webhooks/fpt-pay", content=b"x" * 64 * 1024).status_code == 401


@pytest.mark.parametrize("path", ["unknown", "cash", "VNPAY", "vnpay/more", "fpt_pay", ".."])
def test_a_gateway_that_does_not_exist_is_not_found(api: Api, path: str) -> None:
    assert api.http.post(f"/webhooks/{path}", json={}).status_code == 404


# ── FPT Pay ──────────────────────────────────────────────────────────────────────────────────────


def test_the_wallet_is_answered_in_its_own_format(api: Api, wallet: dict[str, Any]) -> None:
    body = notice(wallet)
    assert answer_of(notify(api, body)) == (200, "00")
    assert state(api, wallet) == ("SUCCESS", None)
    assert answer_of(notify(api, body)) == (200, "00")
    assert answer_of(notify(api, notice(wallet, reference="MB0"))) == (404, "01")


@pytest.mark.parametrize(
    ("but", "held"),
    [
        ({"amount": 1}, "AMOUNT_MISMATCH"),
        ({"currency": "USD"}, "CURRENCY_MISMATCH"),
        ({"amount": 200_000.5}, "AMOUNT_MISMATCH"),
        ({"amount": "200.000"}, "AMOUNT_MISMATCH"),
        ({"amount": "200.000", "currency": "EUR"}, "CURRENCY_MISMATCH"),
        ({"amount": 0}, "AMOUNT_MISMATCH"),
    ],
)
def test_money_that_does_not_fit_is_held_for_people(
    api: Api, wallet: dict[str, Any], but: dict[str, Any], held: str
) -> None:
    assert answer_of(notify(api, notice(wallet, **but))) == (200, "04")
    assert state(api, wallet) == ("PROCESSING", held)


def test_a_signature_is_valid_for_five_minutes_and_by_the_right_secret(
    api: Api, wallet: dict[str, Any]
) -> None:
    body, now = notice(wallet), int(time.time())
    for at in (now - 310, now + 310, 0):
        assert answer_of(notify(api, body, at=at)) == (401, "97")
    assert answer_of(notify(api, body, secret=b"another")) == (401, "97")
    assert state(api, wallet) == ("PROCESSING", None)
    assert answer_of(notify(api, body, at=now - 200)) == (200, "00")


def test_an_event_is_stored_raw_with_its_secrets_masked(api: Api, wallet: dict[str, Any]) -> None:
    body = notice(wallet)
    notify(api, body, Authorization="Bearer very-secret", Cookie="a=very-secret")
    (event,) = events(api, wallet["gatewayReference"])
    assert (event["method"], event["body"]) == ("POST", body)
    headers = json.loads(event["headers"])
    assert headers["x-fptpay-signature"].startswith("t=")
    assert "very-secret" not in event["headers"]
    assert headers["authorization"] == headers["cookie"] == "…"


# ── our own faults ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return a set of references; handling fails while a reference is in it."""
    broken: set[str] = set()
    apply = webhooks.apply

    async def breaks(context: Any, reference: str, *args: Any, **more: Any) -> Any:
        if reference in broken:
            raise ConnectionResetError("the database went away")
        return await apply(context, reference, *args, **more)

    monkeypatch.setattr(webhooks, "apply", breaks)
    return broken


def test_a_fault_of_ours_keeps_the_event_and_the_worker_finishes_it(
    api: Api, qr: dict[str, Any], failing: set[str]
) -> None:
    failing.add(qr["gatewayReference"])
    assert call(api, signed(ipn(qr))) == "99"
    (event,) = events(api, qr["gatewayReference"])
    assert event["outcome"] == "RECEIVED"
    failing.clear()
    retried(api)
    assert state(api, qr) == ("SUCCESS", None)
    (event,) = events(api, qr["gatewayReference"])
    assert event["outcome"] == "HANDLED"


def test_an_event_that_cannot_be_handled_delays_no_other(api: Api, failing: set[str]) -> None:
    bad, good = api.new_payment(method="VNPAY_QR"), api.new_payment(method="VNPAY_QR")
    failing |= {bad["gatewayReference"], good["gatewayReference"]}
    for payment in (bad, good):
        assert call(api, signed(ipn(payment))) == "99"
    failing.remove(good["gatewayReference"])
    retried(api)
    assert state(api, good) == ("SUCCESS", None)
    assert state(api, bad) == ("PROCESSING", None)


def test_an_event_without_a_payment_for_an_hour_becomes_one_case(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    stray = ipn(qr) | {"vnp_TxnRef": "MBSTRAY0000000000001"}
    assert call(api, signed(stray)) == "01"
    api.rows(
        "update webhook_event set tries = $1 where reference = $2",
        webhooks.MAX_TRIES - 2,
        stray["vnp_TxnRef"],
    )
    cases = "select kind, status, gateway from money_case where kind = 'UNMATCHED'"
    retried(api)
    assert not api.rows(cases)
    for _ in range(2):
        retried(api)
        (event,) = events(api, stray["vnp_TxnRef"])
        assert event["outcome"] == "DEAD"
        assert [tuple(row.values()) for row in api.rows(cases)] == [("UNMATCHED", "OPEN", "VNPAY")]


def test_a_call_that_came_before_its_payment_is_matched_later(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    """The event waits under the reference that it names."""
    fields = ipn(qr)
    early = fields | {"vnp_TxnRef": "MBEARLY0000000000001"}
    assert call(api, signed(early)) == "01"
    api.rows(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) select $1, payment, gateway, status, amount, currency,"
        " created_at + interval '1 second', expires_at, 0 from attempt where payment = $2",
        early["vnp_TxnRef"],
        qr["id"],
    )
    retried(api)
    assert state(api, qr) == ("SUCCESS", None)
