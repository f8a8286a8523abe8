"""Bank transfers through the whole API: repeated, late, too small, unknown or outgoing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from resolvers import payment_inquiry, webhooks
from tests.support.clocks import SetClock
from tests.support.gateways.signing import casso_signature, casso_text, sepay_signature
from tests.support.running_api import CANCEL, VERIFY, Api, Sandbox

pytest_plugins = ["tests.support.running_api"]

CASSO, SEPAY = "sandbox-bank-casso-secret", "sandbox-bank-sepay-secret"


@pytest.fixture
def qr(api: Api) -> dict[str, Any]:
    return api.new_payment(method="BANK_TRANSFER")


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def postings(api: Api, payment: dict[str, Any]) -> list[tuple[str, str, int]]:
    rows = api.rows(
        "select debit, credit, amount from posting join entry on entry.id = entry"
        " where payment = $1 order by posting.id",
        payment["id"],
    )
    return [(row["debit"], row["credit"], row["amount"]) for row in rows]


def cases(api: Api, payment: dict[str, Any]) -> list[tuple[str, int]]:
    rows = api.rows("select kind, amount from money_case where payment = $1", payment["id"])
    return [(row["kind"], row["amount"]) for row in rows]


def outcomes(api: Api, payment: dict[str, Any]) -> list[str]:
    rows = api.rows(
        "select outcome from webhook_event where reference = $1 order by received_at",
        payment["gatewayReference"],
    )
    return [row["outcome"] for row in rows]


def calls(response: Any) -> list[tuple[int, Any]]:
    return [(call["status_code"], call["body"]) for call in response["webhooks"]]


UNDERSTOOD = (200, {"success": True})


def transfer(payment: dict[str, Any], **but: Any) -> dict[str, Any]:
    """Return one transfer as Casso reports it."""
    number = time.time_ns() % 10**12
    return {
        "id": number,
        "reference": f"FT{number}",
        "description": f"MBVCB.{number}.{payment['gatewayReference']}.CT tu 0011",
        "amount": payment["amount"],
        "accountNumber": "MOBINETSANDBOX",
    } | but


def casso(api: Api, *transfers: dict[str, Any]) -> httpx.Response:
    body = {"error": 0, "data": transfers[0] if len(transfers) == 1 else list(transfers)}
    moment = str(round(time.time() * 1000))
    seal = casso_signature(CASSO, moment, casso_text(body, ascii=True))
    headers = {"X-Casso-Signature": f"t={moment},v1={seal}"}
    return api.http.post("/webhooks/bank/casso", content=json.dumps(body), headers=headers)


def test_a_qr_is_open_at_once_and_a_transfer_pays_it(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    assert (qr["status"], qr["needsVerification"], qr["gateway"]) == ("PROCESSING", False, "BANK")
    assert qr["gatewayReference"] in qr["qr"]["payload"]
    response = sandbox.pay(qr=qr["qr"]["payload"])
    assert calls(response) == [UNDERSTOOD]
    assert state(api, qr) == ("SUCCESS", None)
    assert postings(api, qr) == [("bank", "customer_receivable", qr["amount"])]
    assert outcomes(api, qr) == ["HANDLED"]


@pytest.mark.parametrize("rewritten", [str.lower, lambda it: f"QR {it[:9]}-{it[9:]} cam on"])
def test_a_content_that_the_bank_rewrote_finds_its_payment(
    api: Api, sandbox: Sandbox, qr: dict[str, Any], rewritten: Any
) -> None:
    content = rewritten(qr["gatewayReference"])
    response = sandbox.pay(qr=qr["qr"]["payload"], transfer={"by": "sepay", "content": content})
    assert calls(response) == [UNDERSTOOD]
    assert state(api, qr) == ("SUCCESS", None)


def test_a_transfer_with_the_reference_of_another_gateway_pays_nothing(api: Api) -> None:
    """Money at the bank is not money at VNPay, so it becomes a case."""
    other = api.new_payment(method="VNPAY_QR")
    casso(api, transfer(other))
    assert state(api, other) == ("PROCESSING", None)
    assert postings(api, other) == []
    assert outcomes(api, other) == ["UNMATCHED"]


def test_a_transfer_that_both_services_report_is_booked_once(api: Api, qr: dict[str, Any]) -> None:
    line = transfer(qr)
    body = json.dumps(
        {
            "id": 1,
            "accountNumber": "MOBINETSANDBOX",
            "content": line["description"],
            "transferType": "in",
            "transferAmount": qr["amount"],
            "referenceCode": line["reference"],
        }
    )
    moment = str(int(time.time()))
    seal = sepay_signature(SEPAY, moment, body.encode())
    headers = {"X-SePay-Timestamp": moment, "X-SePay-Signature": f"sha256={seal}"}

    def sepay() -> httpx.Response:
        return api.http.post("/webhooks/bank/sepay", content=body, headers=headers)

    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(casso, api, line) for _ in range(3)]
        sent += [pool.submit(sepay) for _ in range(3)]
    assert {item.result().status_code for item in sent} == {200}
    assert state(api, qr) == ("SUCCESS", None)
    assert postings(api, qr) == [("bank", "customer_receivable", qr["amount"])]
    assert sorted(outcomes(api, qr)) == ["DUPLICATE", "HANDLED"]
    assert cases(api, qr) == []


def test_each_transfer_in_one_call_finds_its_payment(api: Api, qr: dict[str, Any]) -> None:
    other = api.new_payment(method="BANK_TRANSFER")
    out = transfer(qr, amount=-qr["amount"])
    lost = transfer(qr, description="chuyen tien", amount=77_000)
    assert casso(api, out, transfer(qr), lost, transfer(other)).json() == {"success": True}
    assert state(api, qr) == state(api, other) == ("SUCCESS", None)
    assert sorted(outcomes(api, qr)) == ["HANDLED", "STALE"]
    (event,) = api.rows(
        "select outcome, reference from webhook_event where event_id = $1", f"casso:{lost['id']}"
    )
    assert tuple(event.values()) == ("UNMATCHED", None)


def test_too_little_is_held_and_a_second_part_is_never_added_up(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    assert calls(sandbox.pay(qr=qr["qr"]["payload"], amount=qr["amount"] - 1000)) == [UNDERSTOOD]
    assert state(api, qr) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert calls(sandbox.pay(qr=qr["qr"]["payload"], amount=1000)) == [UNDERSTOOD]
    assert state(api, qr) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert postings(api, qr) == [
        ("bank", "suspense", qr["amount"] - 1000),
        ("bank", "suspense", 1000),
    ]
    assert sorted(cases(api, qr)) == [
        ("AMOUNT_MISMATCH", qr["amount"] - 1000),
        ("PAID_TWICE", 1000),
    ]


def test_too_much_pays_the_bill_and_the_rest_is_the_customers(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    sandbox.pay(qr=qr["qr"]["payload"], amount=qr["amount"] + 500)
    assert state(api, qr) == ("SUCCESS", None)
    assert ("bank", "customer_credit", 500) in postings(api, qr)


def test_a_second_transfer_opens_a_case_of_a_double_payment(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    for _ in range(2):
        assert calls(sandbox.pay(qr=qr["qr"]["payload"])) == [UNDERSTOOD]
    assert state(api, qr) == ("SUCCESS", None)
    assert postings(api, qr)[1:] == [("bank", "suspense", qr["amount"])]
    assert cases(api, qr) == [("PAID_TWICE", qr["amount"])]


def test_cancelling_needs_no_inquiry_and_a_late_transfer_pays_the_open_bill(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    seen = sandbox.last_request
    cancelled = api.get(
        CANCEL, {"id": qr["id"], "reason": "customer left"}, token=api.token("NV002")
    )
    assert cancelled["payment"]["status"] == "CANCELLED"
    assert sandbox.requests("bank", since=seen) == []
    sandbox.pay(qr=qr["qr"]["payload"])
    assert state(api, qr) == ("SUCCESS", None)


def test_a_late_transfer_for_a_bill_that_was_paid_otherwise_is_a_case(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    api.get(CANCEL, {"id": qr["id"], "reason": "pays in cash"}, token=api.token("NV002"))
    cash = api.new_payment(contractNumber=qr["contractNumber"], items=qr["items"])
    assert cash["status"] == "SUCCESS"
    sandbox.pay(qr=qr["qr"]["payload"])
    assert state(api, qr) == ("CANCELLED", None)
    assert cases(api, qr) == [("LATE_MONEY", qr["amount"])]
    assert postings(api, qr) == [("bank", "suspense", qr["amount"])]


def later(api: Api, **by: int) -> Any:
    async def clock() -> Any:
        return await api.context.clock() + timedelta(**by)

    return replace(api.context, clock=SetClock(clock))


def test_a_qr_expires_by_the_clock_alone_and_verifying_changes_nothing(
    api: Api, qr: dict[str, Any]
) -> None:
    payload = api.get(VERIFY, {"id": qr["id"]}, token=api.token("NV002"))
    assert payload["payment"]["status"] == "PROCESSING"
    api.run(payment_inquiry.follow_up(later(api, minutes=16), qr["id"]))
    assert state(api, qr) == ("EXPIRED", None)


def test_a_crash_while_the_qr_was_made_loses_no_qr(api: Api, qr: dict[str, Any]) -> None:
    api.rows(
        (
            "update attempt set status = 'SENT', qr_payload = null, answered_at = null where"
            " payment = $1"
        ),
        qr["id"],
    )
    api.run(payment_inquiry.follow_up(later(api, minutes=2), qr["id"]))
    (row,) = api.rows(
        "select qr_payload, a.status, needs_verification from attempt a"
        " join payment on payment.id = a.payment where payment = $1",
        qr["id"],
    )
    assert tuple(row.values()) == (qr["qr"]["payload"], "ACCEPTED", False)


def test_money_without_a_reference_becomes_a_case_with_its_amount_after_an_hour(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    response = sandbox.pay(qr=qr["qr"]["payload"], amount=123_000, transfer={"content": "cam on"})
    assert calls(response) == [UNDERSTOOD], "the notice is accepted"
    assert state(api, qr) == ("PROCESSING", None)
    (event,) = api.rows(
        "select id, tries from webhook_event where outcome = 'UNMATCHED' and reference is"
        " null order by received_at desc limit 1"
    )
    api.rows(
        "update webhook_event set tries = $1 where id = $2", webhooks.MAX_TRIES - 1, event["id"]
    )
    for _ in range(2):
        api.run(webhooks.retry(later(api, minutes=5)))
    (case,) = api.rows("select * from money_case where about like '%' || $1", event["id"])
    assert (case["kind"], case["amount"], case["gateway"]) == ("UNMATCHED", 123_000, "BANK")
    assert case["about"].startswith("FT")


def test_an_outgoing_transfer_is_answered_and_stale(
    api: Api, sandbox: Sandbox, qr: dict[str, Any]
) -> None:
    for by in ("casso", "sepay"):
        response = sandbox.pay(qr=qr["qr"]["payload"], transfer={"by": by, "outgoing": True})
        assert calls(response) == [UNDERSTOOD]
    assert state(api, qr) == ("PROCESSING", None)
    assert outcomes(api, qr) == ["STALE", "STALE"]


def forged(api: Api, payment: dict[str, Any]) -> Iterator[httpx.Response]:
    line = transfer(payment)
    body = {"error": 0, "data": line}
    for headers in (
        {},
        {"X-Casso-Signature": "t=1,v1=" + "0" * 128},
        {"X-SePay-Timestamp": "1", "X-SePay-Signature": "sha256=" + "0" * 64},
        {"Authorization": f"Apikey {SEPAY}"},
    ):
        for path in ("casso", "sepay"):
            yield api.http.post(f"/webhooks/bank/{path}", json=body, headers=headers)


def test_a_forged_notice_touches_nothing(api: Api, qr: dict[str, Any]) -> None:
    before = api.dump()
    for answer in forged(api, qr):
        assert (answer.status_code, answer.json()) == (401, {"success": False})
    after = api.dump()
    assert {name for name in after if before[name] != after[name]} == {"webhook_event"}
    assert casso(api, transfer(qr)).json() == {"success": True}
    assert state(api, qr) == ("SUCCESS", None)


@pytest.mark.parametrize("path", ["bank", "bank/", "bank/payos", "bank/casso/1"])
def test_no_other_service_has_an_address_for_bank_notices(api: Api, path: str) -> None:
    assert api.http.post(f"/webhooks/{path}", json={}).status_code == 404
