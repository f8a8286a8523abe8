"""VNPay refuses whatever breaks its specification, with its own code for each."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.support.gateways.merchants import (
    SECRET,
    VNPay,
    digits,
    payment,
    signed_query,
)
from tests.support.gateways.signing import vnpay_query_text, vnpay_signature
from tests.support.sandbox.merchant import Call, Merchant


@pytest.fixture
def vnpay(sandbox: httpx.Client) -> VNPay:
    return VNPay(sandbox)


def tags(payload: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while payload:
        length = int(payload[2:4])
        found[payload[:2]], payload = payload[4 : 4 + length], payload[4 + length :]
    return found


def crc16(text: str) -> str:
    register = 0xFFFF
    for bit in (byte >> shift & 1 for byte in text.encode() for shift in range(7, -1, -1)):
        carry = register >> 15
        register = (register << 1) & 0xFFFF
        if carry ^ bit:
            register ^= 0x1021
    return f"{register:04X}"


def test_genqr_gives_a_payload_that_any_banking_app_reads(vnpay: VNPay) -> None:
    answer = vnpay.genqr("TXN20250729000001")
    assert answer["code"] == "00"
    payload = answer["qrcontent"]
    assert payload.endswith(crc16(payload[:-4]))
    read = tags(payload)
    assert next(iter(read)) == "00"
    assert list(read)[-1] == "63"
    assert tags(read["26"]) == {"00": "A000000775", "01": "MOBINET1"}
    assert (read["01"], read["53"], read["54"], read["58"]) == ("12", "704", "200000", "VN")
    assert tags(read["62"])["01"] == "TXN20250729000001"


REFUSED = [
    ("a wrong terminal", {"TmnCode": "MOBINET2"}, "02"),
    ("a terminal that is too short", {"TmnCode": "MOBI"}, "02"),
    ("another version", {"Version": "2.0.0"}, "03"),
    ("no amount", {"Amount": ""}, "03"),
    ("an amount with a point", {"Amount": "200000.00"}, "03"),
    ("a negative amount", {"Amount": "-20000000"}, "03"),
    ("an amount of 13 digits", {"Amount": "1000000000000"}, "03"),
    ("an amount of nothing", {"Amount": "0"}, "93"),
    ("an amount that was not multiplied", {"Amount": "200001"}, "93"),
    ("another currency", {"CurrCode": "USD"}, "03"),
    ("no address", {"IpAddr": ""}, "03"),
    ("a language that it does not speak", {"Locale": "vietnamese"}, "03"),
    ("accents", {"OrderInfo": "Thanh toán cước"}, "03"),
    ("a text that is too long", {"OrderInfo": "a" * 256}, "03"),
    ("a character that encoders disagree about", {"OrderInfo": "Thanh toan ~ cuoc"}, "03"),
    ("a reference that is too long", {"TxnRef": "T" * 101}, "03"),
    ("no reference", {"TxnRef": ""}, "03"),
    ("a return address that is none", {"ReturnUrl": "pay.example.vn"}, "03"),
    ("a date that does not exist", {"CreateDate": "20250230101500"}, "03"),
    ("a date in another form", {"CreateDate": "2025-07-29T10:15"}, "03"),
    ("a creation in the future", {"CreateDate": digits(timedelta(hours=1))}, "03"),
    ("an expiry before the creation", {"ExpireDate": digits(-timedelta(minutes=1))}, "03"),
    (
        "dates in UTC",
        {
            "CreateDate": digits(-timedelta(hours=7)),
            "ExpireDate": digits(-timedelta(hours=6, minutes=45)),
        },
        "11",
    ),
]


@pytest.mark.parametrize(
    ("changes", "code"), [pytest.param(changes, code, id=name) for name, changes, code in REFUSED]
)
def test_genqr_and_pay_refuse(vnpay: VNPay, truth: Any, changes: dict[str, str], code: str) -> None:
    answer = vnpay.genqr("R1", **changes)
    assert (answer["code"], answer["qrcontent"]) == (code, "")
    page = vnpay.send(signed_query(payment("R1", **{"Command": "pay"} | changes)))
    assert page.status_code == 302
    assert parse_qs(urlsplit(page.headers["location"]).query) == {"code": [code]}
    assert f"(mã lỗi {code})" in vnpay.client.get(page.headers["location"]).text
    assert truth()["charges"] == []


def test_a_wrong_signature_is_97(vnpay: VNPay, truth: Any) -> None:
    fields = payment("R1")
    text = vnpay_query_text(fields)
    right = vnpay_signature(SECRET, text)
    for query in (
        text,
        f"{text}&vnp_SecureHash=",
        f"{text}&vnp_SecureHash={'0' * 128}",
        signed_query(fields, "another secret"),
        f"{vnpay_query_text(fields | {'vnp_Amount': '100'})}&vnp_SecureHash={right}",
        f"{text}&vnp_BankCode=NCB&vnp_SecureHash={right}",
    ):
        assert vnpay.send(query).json()["code"] == "97"
    assert truth()["charges"] == []
    assert vnpay.send(f"{text}&vnp_SecureHash={right.upper()}").json()["code"] == "00"


def test_a_repeated_field_is_03(vnpay: VNPay) -> None:
    answer = vnpay.send(signed_query(payment("R1")) + "&vnp_Amount=100").json()
    assert answer["code"] == "03"


def test_a_reference_is_used_once_a_day(vnpay: VNPay) -> None:
    assert vnpay.genqr("R1")["code"] == "00"
    assert vnpay.genqr("R1", Amount="100")["code"] == "94"
    yesterday = digits(-timedelta(days=1))
    assert vnpay.genqr("R1", CreateDate=yesterday)["code"] == "00"


def test_an_ipn_is_signed_and_has_the_paid_amount(
    vnpay: VNPay, play: Any, merchant: Merchant
) -> None:
    qr = vnpay.genqr("R1")["qrcontent"]
    answer = play(qr=qr)
    assert (answer["reference"], answer["status"]) == ("R1", "paid")
    assert answer["webhooks"] == [
        {
            "status_code": 200,
            "body": {"RspCode": "00", "Message": "Confirm Success", "code": "00"},
        }
    ]
    [call] = merchant.wait_for(1)
    assert (call.method, call.path) == ("GET", "/webhooks/vnpay")
    fields = dict(call.query)
    assert fields.pop("vnp_SecureHash") == vnpay_signature(SECRET, vnpay_query_text(fields))
    assert (fields["vnp_Amount"], fields["vnp_TxnRef"]) == ("20000000", "R1")
    assert (fields["vnp_ResponseCode"], fields["vnp_TransactionStatus"]) == ("00", "00")
    assert abs(int(fields["vnp_PayDate"]) - int(digits())) < 100


@pytest.mark.parametrize(
    ("act", "codes"),
    [
        ({"outcome": "declined"}, ("51", "02")),
        ({"outcome": "declined", "reason": "24"}, ("24", "02")),
        ({"outcome": "expired"}, ("11", "02")),
        ({"outcome": "suspicious"}, ("07", "07")),
        ({"outcome": "reversed"}, ("00", "04")),
    ],
)
def test_an_ipn_reports_every_other_outcome(
    vnpay: VNPay, play: Any, merchant: Merchant, act: Any, codes: tuple[str, str]
) -> None:
    vnpay.genqr("R1")
    play(reference="R1", **act)
    [call] = merchant.wait_for(1)
    assert (call.query["vnp_ResponseCode"], call.query["vnp_TransactionStatus"]) == codes


def settled(vnpay: VNPay) -> Any:
    """Return the only webhook once the merchant's last answer is stored."""
    while True:
        [webhook] = vnpay.client.get("/_sandbox/webhooks").json()["webhooks"]
        if webhook["due_at"] is None:
            return webhook


@pytest.mark.parametrize("final", ["00", "02"])
def test_an_ipn_is_repeated_until_it_is_acknowledged(
    vnpay: VNPay, play: Any, merchant: Merchant, final: str
) -> None:
    answers = iter(["97", "01", "04", "99", final])
    merchant.answer = lambda _: JSONResponse({"RspCode": next(answers)})
    vnpay.genqr("R1")
    answer = play(reference="R1", amount=150_000)
    assert answer["webhooks"][0]["body"] == {"RspCode": "97"}
    calls = merchant.wait_for(5)
    assert len({call.query["vnp_SecureHash"] for call in calls}) == 1
    assert calls[0].query["vnp_Amount"] == "15000000"
    webhook = settled(vnpay)
    assert [call["body"]["RspCode"] for call in webhook["calls"]][-1] == final
    assert len(webhook["calls"]) == 5


def test_an_ipn_is_given_up_after_ten_calls(vnpay: VNPay, play: Any, merchant: Merchant) -> None:
    merchant.answer = lambda _: JSONResponse({"RspCode": "99"}, 500)
    vnpay.genqr("R1")
    play(reference="R1", wait=False)
    merchant.wait_for(10)
    assert len(settled(vnpay)["calls"]) == 10


def test_repeated_ipns_are_sent_in_parallel(vnpay: VNPay, play: Any, merchant: Merchant) -> None:
    together = asyncio.Barrier(5)

    async def answer(_: Call) -> Response:
        async with asyncio.timeout(20):
            await together.wait()  # no call is answered before all have arrived
        return JSONResponse({"RspCode": "00"})

    merchant.answer = answer
    vnpay.genqr("R1")
    answer = play(reference="R1", repeat=5)
    assert [webhook["status_code"] for webhook in answer["webhooks"]] == [200] * 5


def test_a_webhook_can_be_forged_or_dropped_on_order(
    vnpay: VNPay, play: Any, merchant: Merchant
) -> None:
    vnpay.genqr("R1")
    vnpay.genqr("R2")
    assert play(reference="R1", drop_webhook=True)["webhooks"] == []
    play(reference="R2", bad_signature=True)
    [call] = merchant.wait_for(1)
    fields = dict(call.query)
    assert fields.pop("vnp_SecureHash") != vnpay_signature(SECRET, vnpay_query_text(fields))
    assert fields["vnp_TxnRef"] == "R2"


def test_a_paid_charge_stays_paid_and_older_webhooks_may_follow(
    vnpay: VNPay, play: Any, merchant: Merchant, truth: Any
) -> None:
    vnpay.genqr("R1")
    play(reference="R1", outcome="declined")
    play(reference="R1", outcome="paid")
    play(reference="R1", outcome="paid")
    assert play(reference="R1", outcome="declined")["status"] == "paid"
    codes = [call.query["vnp_ResponseCode"] for call in merchant.calls]
    assert codes == ["51", "00", "00", "51"]
    numbers = [call.query["vnp_TransactionNo"] for call in merchant.calls]
    assert numbers[0] == numbers[3] == "0"
    assert numbers[1] == numbers[2] == truth()["charges"][0]["gateway_id"]
    assert truth()["charges"][0]["status"] == "paid"


def test_a_suspicion_may_be_lifted(vnpay: VNPay, play: Any, merchant: Merchant, truth: Any) -> None:
    vnpay.genqr("R1")
    assert play(reference="R1", outcome="suspicious")["status"] == "suspicious"
    assert play(reference="R1")["status"] == "paid"
    reports = [
        (call.query["vnp_TransactionNo"], call.query["vnp_TransactionStatus"])
        for call in merchant.calls
    ]
    number = truth()["charges"][0]["gateway_id"]
    assert reports == [(number, "07"), (number, "00")]


def test_a_person_pays_on_the_page_and_is_sent_back(
    vnpay: VNPay, merchant: Merchant, truth: Any
) -> None:
    opened = vnpay.send(signed_query(payment("R1", Command="pay")))
    address = opened.headers["location"]
    assert "Thanh toán" in vnpay.client.get(address).text
    back = vnpay.client.post(address, data={"outcome": "paid"})
    assert back.status_code == 303
    url = urlsplit(back.headers["location"])
    assert url.netloc == "pay.example.vn"
    fields = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert fields.pop("vnp_SecureHash") == vnpay_signature(SECRET, vnpay_query_text(fields))
    merchant.wait_for(1)
    assert truth()["charges"][0]["status"] == "paid"
    assert vnpay.client.post(address, data={"outcome": "declined"}).status_code == 410


def test_the_customer_opens_a_pay_address(vnpay: VNPay, play: Any, truth: Any) -> None:
    url = f"{vnpay.client.base_url}vnpay/paymentv2/vpcpay.html?"
    url += signed_query(payment("R1", Command="pay"))
    assert play(payment_url=url, outcome="declined", reason="24")["status"] == "declined"
    assert play(payment_url=url)["status"] == "paid"
    assert len(truth()["charges"]) == 1
    forged = vnpay.client.post("/_sandbox/pay", json={"payment_url": url.replace("R1", "R2")})
    assert (forged.status_code, forged.json()["error"]["details"]) == (422, {"answer": "97"})
