"""The controls: the customer's actions, the truth, settlement files, and restarts."""

from __future__ import annotations

import csv
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.app import build
from tests.support.gateways.merchants import GMT7, FptPay, VNPay, digits
from tests.support.gateways.signing import (
    fpt_pay_signature,
    vnpay_query_text,
    vnpay_signature,
)
from tests.support.sandbox.merchant import Merchant, Served, settings


def test_an_unknown_charge_is_404(sandbox: httpx.Client) -> None:
    for unknown in (
        {"reference": "R1"},
        {"qr": "000201"},
        {"payment_url": "http://x/fpt_pay/form/x"},
    ):
        response = sandbox.post("/_sandbox/pay", json=unknown | {"something": "ignored"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "UNKNOWN_CHARGE")
    assert sandbox.post("/_sandbox/pay", json={"outcome": "paid"}).status_code == 422


def test_a_delayed_action_happens_later(
    sandbox: httpx.Client, play: Any, truth: Any, merchant: Merchant
) -> None:
    VNPay(sandbox).genqr("R1")
    answer = play(reference="R1", delay=0.2)
    assert (answer["status"], answer["webhooks"]) == ("pending", [])
    assert truth()["charges"][0]["status"] == "pending"
    merchant.wait_for(1)
    assert truth()["charges"][0]["status"] == "paid"


def test_a_webhook_may_come_later_than_the_money(
    sandbox: httpx.Client, play: Any, merchant: Merchant
) -> None:
    VNPay(sandbox).genqr("R1")
    answer = play(reference="R1", webhook_delay=0.2)
    assert (answer["status"], answer["webhooks"]) == ("paid", [])
    assert merchant.calls == []
    merchant.wait_for(1)


def test_the_truth_lists_every_charge_with_its_status_and_amount(
    sandbox: httpx.Client, play: Any, truth: Any, merchant: Merchant
) -> None:
    VNPay(sandbox).genqr("R1")
    FptPay(sandbox, merchant.url).init("R2", amount=300_000)
    play(reference="R2", amount=310_000)
    vnpay, fpt_pay = truth()["charges"]
    expected = {"gateway": "vnpay", "reference": "R1", "amount": 200_000, "currency": "VND"}
    assert vnpay | expected | {"status": "pending", "paid_at": None} == vnpay
    expected = {"gateway": "fpt_pay", "reference": "R2", "amount": 310_000, "status": "paid"}
    assert fpt_pay | expected | {"asked": 300_000} == fpt_pay
    assert fpt_pay["paid_at"].endswith("Z")


def test_a_settlement_file_lists_the_days_money(
    sandbox: httpx.Client, play: Any, truth: Any
) -> None:
    vnpay = VNPay(sandbox)
    created = digits()
    for reference in ("R1", "R2", "R3"):
        vnpay.genqr(reference, CreateDate=created)
    play(reference="R1")
    play(reference="R2", outcome="declined")
    vnpay.refund("R1", created, 50_000)
    today = datetime.now(GMT7).date().isoformat()
    file = sandbox.get(f"/_sandbox/settlement/vnpay?date={today}")
    assert file.headers["content-type"].startswith("text/csv")
    assert file.text.splitlines()[0] == "reference,gateway_id,kind,amount,currency,status,at"
    lines = list(csv.DictReader(io.StringIO(file.text)))
    assert [(line["reference"], line["kind"], line["amount"]) for line in lines] == [
        ("R1", "payment", "200000"),
        ("R1", "refund", "50000"),
    ]
    assert lines[0]["gateway_id"] == truth()["charges"][0]["gateway_id"]
    assert datetime.fromisoformat(lines[0]["at"]).utcoffset() == GMT7.utcoffset(None)
    other = sandbox.get("/_sandbox/settlement/vnpay?date=2025-01-01")
    assert len(other.text.splitlines()) == 1
    assert sandbox.get("/_sandbox/settlement/vnpay?date=today").status_code == 422
    assert sandbox.get("/_sandbox/settlement/revenue").status_code == 404


def test_the_log_has_each_request_and_no_secret(sandbox: httpx.Client, play: Any) -> None:
    vnpay = VNPay(sandbox)
    created = digits()
    vnpay.genqr("R1", CreateDate=created)
    vnpay.querydr("R1", created)
    sandbox.get("/revenue/api/bills/SGFDN1015")
    answer = sandbox.get("/_sandbox/requests?system=vnpay").json()
    assert [(entry["operation"], entry["status"]) for entry in answer["requests"]] == [
        ("genqr", 200),
        ("querydr", 200),
    ]
    assert "SecureHash" not in str(answer)
    later = sandbox.get(f"/_sandbox/requests?since={answer['requests'][-1]['n']}").json()
    assert [(entry["system"], entry["status"]) for entry in later["requests"]] == [("revenue", 401)]


def test_the_index_page_lists_systems_and_controls(sandbox: httpx.Client) -> None:
    page = sandbox.get("/")
    assert "/fpt_pay" in page.text
    assert "_sandbox/pay" in page.text
    assert sandbox.get("/healthz").status_code == 200


@pytest.fixture
def restarted(merchant: Merchant, tmp_path: Path) -> Iterator[Any]:
    """Start a sandbox on one data directory; each call restarts it."""
    running: list[Served] = []

    def start() -> httpx.Client:
        if running:
            running.pop().stop()
        running.append(Served(build(settings(merchant, tmp_path))))
        return httpx.Client(base_url=running[0].url, trust_env=False, timeout=10)

    yield start
    running.pop().stop()


def test_a_restart_keeps_charges_plans_and_faults(restarted: Any, merchant: Merchant) -> None:
    first: httpx.Client = restarted()
    VNPay(first).genqr("R1")
    VNPay(first).genqr("R2")
    first.post("/_sandbox/pay", json={"reference": "R1"})
    first.post("/_sandbox/pay", json={"reference": "R2", "delay": 0.3})
    first.post("/_sandbox/faults", json={"system": "sms", "fault": "500"})
    before = first.get("/_sandbox/truth").json()
    second: httpx.Client = restarted()
    assert second.get("/_sandbox/truth").json()["charges"][0] == before["charges"][0]
    assert second.post("/sms/api/send", json={}).status_code == 500
    merchant.wait_for(2)  # the delayed action happens after the restart
    assert {line["status"] for line in second.get("/_sandbox/truth").json()["charges"]} == {"paid"}
    assert VNPay(second).genqr("R1")["code"] == "94"


def test_a_reset_of_the_data_deletes_charges_and_changes(
    sandbox: httpx.Client, play: Any, truth: Any
) -> None:
    VNPay(sandbox).genqr("R1")
    play(reference="R1", delay=0.05)
    sandbox.post("/_sandbox/reset", json={"data": True})
    assert not any(truth().values())
    assert VNPay(sandbox).genqr("R1")["code"] == "00"


def test_two_hash_secrets_are_accepted_and_the_first_signs(
    merchant: Merchant, tmp_path: Path
) -> None:
    both = {"hash_secret": "newer, sandbox-vnpay-hash-secret"}
    served = Served(build(settings(merchant, tmp_path, vnpay=both)))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert VNPay(client).genqr("R1")["code"] == "00"
        client.post("/_sandbox/pay", json={"reference": "R1"})
    served.stop()
    fields = dict(merchant.wait_for(1)[0].query)
    assert fields.pop("vnp_SecureHash") == vnpay_signature("newer", vnpay_query_text(fields))


def test_two_wallet_secrets_are_accepted_and_the_first_signs(
    merchant: Merchant, tmp_path: Path
) -> None:
    both = {"secret": "newer, sandbox-fpt-pay-secret"}
    served = Served(build(settings(merchant, tmp_path, fpt_pay=both)))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        wallet = FptPay(client, merchant.url)
        wallet.init("R1")
        inquiries = [wallet.inquire("R1", secret) for secret in ("newer", "sandbox-fpt-pay-secret")]
        assert [answer.status_code for answer in inquiries] == [200, 200]
        assert wallet.inquire("R1", both["secret"]).status_code == 401
        client.post("/_sandbox/pay", json={"reference": "R1"})
    served.stop()
    notice = merchant.wait_for(1)[0]
    moment, proof = notice.headers["x-fptpay-signature"].removeprefix("t=").split(",v1=")
    assert fpt_pay_signature("newer", moment, notice.body) == proof


def test_the_program_starts_fast_survives_a_kill_and_stops_on_sigterm(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "MOBINET_SANDBOX_PORT": str(port),
        "MOBINET_DATA_DIR": str(tmp_path),
    }
    url = f"http://127.0.0.1:{port}"

    def start() -> subprocess.Popen[bytes]:
        program = subprocess.Popen([sys.executable, "-m", "sandbox"], env=environment)
        for _ in range(3000):
            try:
                httpx.get(f"{url}/healthz", trust_env=False)
            except httpx.ConnectError:
                time.sleep(0.01)
                continue
            return program
        raise AssertionError("it did not start")

    program = start()
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert VNPay(client).genqr("R1")["code"] == "00"
    program.kill()
    program.wait(5)
    program = start()
    truth = httpx.get(f"{url}/_sandbox/truth", trust_env=False).json()
    assert [charge["reference"] for charge in truth["charges"]] == ["R1"]
    program.send_signal(signal.SIGTERM)
    assert program.wait(5) in (0, -signal.SIGTERM)
