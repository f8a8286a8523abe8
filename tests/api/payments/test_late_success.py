"""Money that is proven after a payment ended corrects it, and the timeline shows that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resolvers import jobs
from tests.support.gateways.calls import call, ipn, signed
from tests.support.requests.decisions import decide
from tests.support.requests.settlement import Desk
from tests.support.running_api import CANCEL, Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]

TIMELINE = """
query ($id: ID!) { payment(id: $id) {
  status timeline { action evidence actor fromStatus toStatus } } }
"""
EXPIRED = {"vnp_ResponseCode": "11", "vnp_TransactionStatus": "02"}
Payment = dict[str, Any]


def cancelled(desk: Desk, method: str = "VNPAY_QR") -> Payment:
    payment = desk.api.new_payment(method=method)
    cancel(desk, payment)
    return payment


def cancel(desk: Desk, payment: Payment) -> None:
    reason = {"id": payment["id"], "reason": "customer left"}
    assert desk.api.get(CANCEL, reason, token=desk.api.token("NV002"))["errors"] == []


def by_a_banks_notice(desk: Desk) -> Payment:
    payment = cancelled(desk, "BANK_TRANSFER")
    desk.sandbox.pay(qr=payment["qr"]["payload"])
    return payment


def by_an_inquiry(desk: Desk) -> Payment:
    payment = desk.api.new_payment(method="VNPAY_QR")
    assert call(desk.api, signed(ipn(payment, **EXPIRED))) == "00"
    desk.sandbox.pay(reference=payment["gatewayReference"])
    desk.api.run(jobs.inquire(desk.api.context, payment["id"]))
    return payment


def by_a_settlement_file(desk: Desk) -> Payment:
    payment = cancelled(desk)
    desk.sandbox.pay(reference=payment["gatewayReference"], outcome="paid", drop_webhook=True)
    desk.imports(desk.line(payment))
    return payment


def by_two_people(desk: Desk) -> Payment:
    payment = desk.api.new_payment(method="VNPAY_QR")
    assert call(desk.api, signed(ipn(payment, **EXPIRED))) == "00"
    bill = {"contractNumber": payment["contractNumber"], "items": payment["items"]}
    other = desk.api.new_payment(method="VNPAY_QR", **bill)
    desk.sandbox.pay(reference=payment["gatewayReference"])
    desk.api.run(jobs.inquire(desk.api.context, payment["id"]))
    cancel(desk, other)
    decide(desk.api, payment, "APPLY")
    return payment


@pytest.mark.parametrize(
    ("prove", "evidence", "actor"),
    [
        (by_a_banks_notice, "WEBHOOK", "system"),
        (by_an_inquiry, "INQUIRY", "system"),
        (by_a_settlement_file, "SETTLEMENT", "settle"),
        (by_two_people, "FOUR_EYES", "FI002"),
    ],
)
def test_the_timeline_names_the_correction(
    desk: Desk, api: Api, prove: Callable[[Desk], Payment], evidence: str, actor: str
) -> None:
    payment = prove(desk)
    found = api.get(TIMELINE, {"id": payment["id"]}, token=api.token("FI001"))
    assert found["status"] == "SUCCESS"
    moves = [step for step in found["timeline"] if step["toStatus"] == "SUCCESS"]
    named = [step for step in moves if step["action"] == "LATE_SUCCESS"]
    assert [(step["evidence"], step["actor"]) for step in named] == [(evidence, actor)]
    assert named[0]["fromStatus"] in {"CANCELLED", "EXPIRED"}
    assert named[0] == moves[0]


def test_a_success_in_time_is_no_correction(desk: Desk, api: Api) -> None:
    payment = desk.pays()
    found = api.get(TIMELINE, {"id": payment["id"]}, token=api.token("FI001"))
    assert [step["action"] for step in found["timeline"]] == ["create", "send", "apply", "apply"]
