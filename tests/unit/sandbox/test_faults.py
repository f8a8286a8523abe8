"""Each fault occurs as ordered: how often, and before or after the work."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.support.gateways.merchants import VNPay, digits, payment, signed_query
from tests.support.sandbox.merchant import System

RECORD = {
    "transaction_id": "TXN_1",
    "contract_number": "SGFDN1015",
    "method": "cash",
    "paid_at": "2025-07-29T10:15:00Z",
    "items": [{"type": "bill", "id": "U23SG0073526", "amount": 200_000}],
    "staff_id": "NV001",
}


@pytest.fixture
def order(sandbox: httpx.Client) -> Any:
    def order(**fault: Any) -> None:
        response = sandbox.post("/_sandbox/faults", json={"system": "revenue"} | fault)
        assert response.status_code == 200, response.text

    return order


def record(client: httpx.Client) -> httpx.Response:
    return System(client, "revenue").post("/api/payments/record", RECORD, "TXN_1")


def record_badly(client: httpx.Client, fault: str) -> str:
    """Return what a client sees that waits 0.3 seconds."""
    client.timeout = httpx.Timeout(0.3)
    try:
        response = record(client)
        response.json()
    except httpx.ReadTimeout:
        return "timeout"
    except (httpx.ReadError, httpx.RemoteProtocolError) as error:
        return "truncated" if "complete message body" in str(error) else "reset"
    finally:
        client.timeout = httpx.Timeout(10)
    return {500: "500", 503: "refuse"}.get(response.status_code, "answered")


@pytest.mark.parametrize("after_processing", [False, True])
@pytest.mark.parametrize("fault", ["timeout", "reset", "500", "truncated", "refuse"])
def test_a_fault_occurs_before_or_after_the_work(
    sandbox: httpx.Client, order: Any, truth: Any, fault: str, after_processing: bool
) -> None:
    order(fault=fault, times=1, after_processing=after_processing)
    assert record_badly(sandbox, fault) == fault
    assert len(truth()["records"]) == int(after_processing)
    assert record(sandbox).status_code == 201
    assert [line["times"] for line in truth()["records"]] == [1]
    log = sandbox.get("/_sandbox/requests?system=revenue").json()["requests"]
    assert [(entry["fault"], entry["idempotency_key"]) for entry in log] == [
        (fault, "TXN_1"),
        (None, "TXN_1"),
    ]


@pytest.mark.parametrize("after_processing", [False, True])
def test_a_slow_system_answers_in_the_end(
    sandbox: httpx.Client, order: Any, after_processing: bool
) -> None:
    order(fault="slow", times=1, seconds=0.25, after_processing=after_processing)
    begun = time.monotonic()
    assert record(sandbox).status_code == 201
    assert time.monotonic() - begun >= 0.25


def test_a_timeout_that_the_client_waits_out_ends_in_504(sandbox: httpx.Client, order: Any) -> None:
    order(fault="timeout", seconds=0.1, times=1)
    assert record(sandbox).status_code == 504


def test_faults_occur_as_often_as_ordered_and_end_with_a_reset(
    sandbox: httpx.Client, order: Any
) -> None:
    order(fault="500", times=2)
    assert [record(sandbox).status_code for _ in range(3)] == [500, 500, 201]
    order(fault="500")
    assert {record(sandbox).status_code for _ in range(5)} == {500}
    assert len(sandbox.get("/_sandbox/faults").json()["faults"]) == 1
    assert sandbox.post("/_sandbox/reset", json={}).json() == {"faults": [], "data": False}
    assert record(sandbox).status_code == 201


def test_a_probability_affects_some_requests(sandbox: httpx.Client, order: Any) -> None:
    order(fault="500", probability=0.5)
    assert {record(sandbox).status_code for _ in range(64)} == {500, 201}


def test_a_fault_affects_one_system_or_one_path(
    ask: Any, order: Any, sandbox: httpx.Client
) -> None:
    order(fault="500", path="/api/payments/record")
    assert ask("revenue").get("/api/bills/SGFDN1015").status_code == 200
    assert ask("debt").get("/api/debts/SGFDN1015").status_code == 200
    assert record(sandbox).status_code == 500


def test_an_invalid_fault_order_is_refused(sandbox: httpx.Client) -> None:
    for wrong in (
        {"system": "nobody", "fault": "500"},
        {"system": "revenue", "fault": "fire"},
        {"system": "revenue", "fault": "500", "times": 0},
        {"system": "revenue", "fault": "500", "probability": 2},
        {"fault": "500"},
    ):
        assert sandbox.post("/_sandbox/faults", json=wrong).status_code == 422
    assert sandbox.post("/_sandbox/faults", content=b"{").status_code == 400
    assert sandbox.get("/_sandbox/faults").json() == {"faults": []}


def test_every_system_refuses_in_its_own_way(sandbox: httpx.Client, order: Any, ask: Any) -> None:
    names = ("revenue", "customer", "staff", "debt", "hifpt", "sms", "fpt_pay", "vnpay")
    for system in names:
        order(system=system, fault="refuse")
    statuses = {name: ask(name).get("/api/x").status_code for name in names[:6]}
    assert statuses == {
        "revenue": 503,
        "customer": 503,
        "staff": 503,
        "debt": 503,
        "hifpt": 422,
        "sms": 422,
    }
    token = sandbox.post("/fpt_pay/payment/init", json={})
    assert (token.status_code, token.json()["error"]["code"]) == (401, "TOKEN_REFUSED")
    vnpay = VNPay(sandbox)
    refusal = vnpay.genqr("R1")
    assert (refusal["code"], refusal["qrcontent"]) == ("02", "")
    page = vnpay.send(signed_query(payment("R1", Command="pay")))
    assert page.headers["location"].endswith("?code=02")
    assert vnpay.querydr("R1", digits())["vnp_ResponseCode"] == "99"
    assert vnpay.refund("R1", digits(), 1)["vnp_ResponseCode"] == "16"


def test_a_charge_may_exist_although_its_answer_was_lost(
    sandbox: httpx.Client, order: Any, truth: Any, play: Any
) -> None:
    order(system="vnpay", fault="reset", times=1, after_processing=True, path="genqr")
    created = digits()
    with pytest.raises(httpx.ReadError):
        VNPay(sandbox).genqr("R1", CreateDate=created)
    assert [charge["reference"] for charge in truth()["charges"]] == ["R1"]
    play(reference="R1")
    answer = VNPay(sandbox).querydr("R1", created)
    assert answer["vnp_TransactionStatus"] == "00"
