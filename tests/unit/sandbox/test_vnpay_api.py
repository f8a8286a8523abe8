"""VNPay's querydr and refund: every response code, and the signature of every answer."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.support.gateways.merchants import VNPay, digits


@pytest.fixture
def vnpay(sandbox: httpx.Client) -> VNPay:
    return VNPay(sandbox)


@pytest.fixture
def created(vnpay: VNPay) -> str:
    """Return the creation date of R1, which inquiries and refunds must repeat."""
    created = digits()
    assert vnpay.genqr("R1", CreateDate=created)["code"] == "00"
    return created


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (None, "01"),
        ("paid", "00"),
        ("declined", "02"),
        ("expired", "02"),
        ("suspicious", "07"),
        ("reversed", "04"),
    ],
)
def test_querydr_has_the_status_of_the_charge(
    vnpay: VNPay, created: str, play: Any, act: str | None, status: str
) -> None:
    if act:
        play(reference="R1", outcome=act, drop_webhook=True)
    answer = vnpay.querydr("R1", created)
    assert (answer["vnp_ResponseCode"], answer["vnp_TransactionStatus"]) == ("00", status)
    assert answer["vnp_Amount"] == "20000000"


def test_querydr_has_the_received_amount(vnpay: VNPay, created: str, play: Any) -> None:
    play(reference="R1", amount=150_000)
    assert vnpay.querydr("R1", created)["vnp_Amount"] == "15000000"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TmnCode": "MOBINET2"}, "02"),
        ({"RequestId": str(uuid.uuid4())}, "03"),
        ({"RequestId": ""}, "03"),
        ({"Version": "2.1"}, "03"),
        ({"TransactionDate": "20250230000000"}, "03"),
        ({"CreateDate": "now"}, "03"),
        ({"OrderInfo": ""}, "03"),
        ({"TxnRef": "R2"}, "91"),
        ({"TransactionDate": "20250101000000"}, "91"),
        ({"TransactionNo": "123"}, "91"),
    ],
)
def test_querydr_refuses(vnpay: VNPay, created: str, changes: Any, code: str) -> None:
    assert vnpay.querydr("R1", created, **changes)["vnp_ResponseCode"] == code


def test_a_wrong_signature_is_97_and_uses_up_no_inquiry(vnpay: VNPay, created: str) -> None:
    assert vnpay.querydr("R1", created, secret="wrong")["vnp_ResponseCode"] == "97"
    assert vnpay.refund("R1", created, 1, secret="wrong")["vnp_ResponseCode"] == "97"
    assert vnpay.querydr("R1", created)["vnp_ResponseCode"] == "00"


def test_a_second_inquiry_within_five_minutes_is_94(vnpay: VNPay, created: str) -> None:
    assert vnpay.querydr("R1", created)["vnp_ResponseCode"] == "00"
    refused = vnpay.querydr("R1", created)
    assert refused["vnp_ResponseCode"] == "94"
    assert "vnp_TransactionStatus" not in refused
    while (again := vnpay.querydr("R1", created))["vnp_ResponseCode"] == "94":
        pass
    assert again["vnp_TransactionStatus"] == "01"


def test_a_request_id_is_used_once_a_day(vnpay: VNPay, created: str) -> None:
    other = digits()
    vnpay.genqr("R2", CreateDate=other)
    assert vnpay.querydr("R1", created, RequestId="one")["vnp_ResponseCode"] == "00"
    assert vnpay.querydr("R2", other, RequestId="one")["vnp_ResponseCode"] == "94"
    assert vnpay.querydr("R2", other, RequestId="two")["vnp_ResponseCode"] == "00"


def test_a_body_that_is_not_a_json_object_is_refused_and_signed(vnpay: VNPay) -> None:
    assert vnpay.api({}, [])["vnp_ResponseCode"] == "02"
    response = vnpay.client.post("/vnpay/merchant_webapi/api/transaction", content=b"[1, nul")
    assert response.json()["vnp_ResponseCode"] == "02"


def test_refunds_add_up_to_what_was_paid(vnpay: VNPay, created: str, play: Any, truth: Any) -> None:
    assert vnpay.refund("R1", created, 50_000)["vnp_ResponseCode"] == "95"
    play(reference="R1")
    first = vnpay.refund("R1", created, 50_000, RequestId="REF1")
    assert (first["vnp_ResponseCode"], first["vnp_TransactionStatus"]) == ("00", "05")
    assert (first["vnp_Amount"], first["vnp_TransactionType"]) == ("5000000", "03")
    for changes, amount, code in (
        ({"RequestId": "REF1"}, 50_000, "94"),
        ({}, 150_001, "93"),
        ({"Amount": "5000050"}, 0, "93"),
        ({"Amount": "-1"}, 0, "03"),
        ({"TransactionType": "01"}, 50_000, "03"),
        ({"TransactionType": "02"}, 200_000, "04"),
        ({"TransactionNo": "77"}, 50_000, "91"),
        ({"TxnRef": "R2"}, 50_000, "91"),
        ({"CreateBy": ""}, 50_000, "03"),
    ):
        assert vnpay.refund("R1", created, amount, **changes)["vnp_ResponseCode"] == code
    assert vnpay.refund("R1", created, 150_000)["vnp_ResponseCode"] == "00"
    assert vnpay.refund("R1", created, 1)["vnp_ResponseCode"] == "94"
    assert [line["amount"] for line in truth()["refunds"]] == [50_000, 150_000]
    assert truth()["charges"][0]["refunded"] == 200_000


def test_a_full_refund_is_the_whole_amount_once(vnpay: VNPay, created: str, play: Any) -> None:
    play(reference="R1")
    part = vnpay.refund("R1", created, 100_000, TransactionType="02")
    assert part["vnp_ResponseCode"] == "93"
    for code in ("00", "94"):
        full = vnpay.refund("R1", created, 200_000, TransactionType="02")
        assert full["vnp_ResponseCode"] == code
