"""A customer's app pays a valid QR, and Casso or SePay reports the transfer with a signature."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from sandbox.bank import emv
from sandbox.bank.api import casso_signature, sepay_signature
from tests.support.gateways import signing
from tests.support.sandbox.merchant import Call, Merchant
from tests.support.sandbox.vectors import VECTORS

REFERENCE = "MB01K1ABCDEFGH23456J"


def qr(
    *,
    bin: str = "999999",
    account: str = "MOBINETSANDBOX",
    amount: str = "200000",
    purpose: str = REFERENCE,
    scheme: str = "A000000727",
    service: str = "QRIBFTTA",
    currency: str = "704",
) -> str:
    receiver = emv.tlv("00", bin) + emv.tlv("01", account)
    merchant = emv.tlv("00", scheme) + emv.tlv("01", receiver) + emv.tlv("02", service)
    tags = [("00", "01"), ("01", "12"), ("38", merchant), ("53", currency)]
    tags += [("54", amount)] if amount else []
    return emv.encode([*tags, ("58", "VN"), ("62", emv.tlv("08", purpose))])


@pytest.fixture
def bank(sandbox: httpx.Client, merchant: Merchant) -> httpx.Client:
    merchant.answer = lambda _: JSONResponse({"success": True})
    return sandbox


def casso(call: Call) -> Any:
    assert call.path == "/webhooks/bank/casso"
    notice = json.loads(call.body)
    signature = dict(part.split("=") for part in call.headers["x-casso-signature"].split(","))
    secret, text = "sandbox-bank-casso-secret", signing.casso_text(notice)
    expected = signing.casso_signature(secret, signature["t"], text)
    assert (signature["v1"] == expected, notice["error"]) == (True, 0)
    return notice["data"]


def sepay(call: Call) -> Any:
    assert call.path == "/webhooks/bank/sepay"
    secret, sent_at = "sandbox-bank-sepay-secret", call.headers["x-sepay-timestamp"]
    expected = signing.sepay_signature(secret, sent_at, call.body)
    assert call.headers["x-sepay-signature"] == f"sha256={expected}"
    return json.loads(call.body)


def test_a_scanned_qr_is_paid_and_reported_by_casso(
    bank: httpx.Client, play: Any, merchant: Merchant, truth: Any
) -> None:
    play(qr=qr())
    notice = casso(merchant.calls[0])
    assert (notice["amount"], notice["accountNumber"]) == (200_000, "MOBINETSANDBOX")
    assert REFERENCE in notice["description"]
    assert notice["description"] != REFERENCE, "a bank adds text to the purpose"
    (charge,) = truth()["charges"]
    assert (charge["gateway"], charge["reference"], charge["status"]) == ("bank", REFERENCE, "paid")


def test_sepay_reports_the_transfer_as_ordered(
    bank: httpx.Client, play: Any, merchant: Merchant
) -> None:
    transfer = {"by": "sepay", "content": "cam on", "account": "OTHER", "outgoing": True}
    play(qr=qr(), amount=150_000, transfer=transfer)
    notice = sepay(merchant.calls[0])
    assert (notice["transferType"], notice["transferAmount"]) == ("out", 150_000)
    assert (notice["content"], notice["accountNumber"]) == ("cam on", "OTHER")


def test_two_scans_are_two_transfers_and_a_repeated_webhook_is_not(
    bank: httpx.Client, play: Any, merchant: Merchant, truth: Any
) -> None:
    play(qr=qr(), repeat=2)
    play(qr=qr())
    ids = [casso(call)["id"] for call in merchant.calls]
    assert ids[0] == ids[1] != ids[2]
    assert len(truth()["charges"]) == 2


def test_a_transfer_that_comes_later_is_the_one_that_was_scanned(
    bank: httpx.Client, play: Any, merchant: Merchant, truth: Any
) -> None:
    play(qr=qr(), delay=0.05)
    merchant.wait_for(1)
    assert [charge["status"] for charge in truth()["charges"]] == ["paid"]


def test_a_notice_is_repeated_until_it_is_acknowledged(
    bank: httpx.Client, play: Any, merchant: Merchant
) -> None:
    answers = iter([JSONResponse({}), JSONResponse({"success": False}), JSONResponse({}, 500)])
    merchant.answer = lambda _: next(answers, JSONResponse({"success": True}, 201))
    play(qr=qr(), transfer={"by": "sepay"})
    assert len({sepay(call)["id"] for call in merchant.wait_for(4)}) == 1


def test_a_forged_notice_does_not_verify(bank: httpx.Client, play: Any, merchant: Merchant) -> None:
    play(qr=qr(), bad_signature=True)
    with pytest.raises(AssertionError):
        casso(merchant.calls[0])


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (qr(bin="970436"), (422, "UNKNOWN_ACCOUNT")),
        (qr(account="SOMEBODY"), (422, "UNKNOWN_ACCOUNT")),
        (qr(amount="500000000"), (422, "AMOUNT_REFUSED")),
        (qr(amount="200000.5"), (422, "AMOUNT_REFUSED")),
        (qr(amount="0"), (422, "AMOUNT_REFUSED")),
        (qr(amount=""), (422, "AMOUNT_REFUSED")),
        (qr(currency="840"), (422, "NOT_A_TRANSFER")),
        (qr(scheme="A000000775"), (422, "NOT_A_TRANSFER")),
        (qr(service="QRIBFTTC"), (422, "NOT_A_TRANSFER")),
        (qr()[:-1] + "0", (404, "UNKNOWN_CHARGE")),
        (qr().replace("5406200000", "5406200001"), (404, "UNKNOWN_CHARGE")),
        ("not a QR", (404, "UNKNOWN_CHARGE")),
    ],
)
def test_an_app_refuses_what_it_cannot_pay(
    bank: httpx.Client, truth: Any, payload: str, expected: tuple[int, str]
) -> None:
    response = bank.post("/_sandbox/pay", json={"qr": payload})
    assert (response.status_code, response.json()["error"]["code"]) == expected
    assert truth()["charges"] == []


def test_a_transfer_cannot_be_declined(bank: httpx.Client) -> None:
    response = bank.post("/_sandbox/pay", json={"qr": qr(), "outcome": "declined"})
    assert response.status_code == 422


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["id"]) for v in VECTORS if v["gateway"] == "emvco_qr"]
)
def test_an_app_reads_the_valid_examples_only(vector: dict[str, Any]) -> None:
    payload = vector.get("payload", "")
    if not payload:
        return
    if vector.get("negative"):
        assert not emv.has_valid_checksum(payload)
        return
    tags = emv.decode(payload)
    assert tags["00"] == "01"
    assert list(tags)[-1] == "63"


@pytest.mark.parametrize("text", ["0", "00", "000", "0001", "00021", "0099x", "xx01a", "00010000"])
def test_a_length_that_does_not_fit_is_no_qr(text: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        emv.decode(text)


def test_the_printed_example_with_a_wrong_account_length_is_not_paid(
    bank: httpx.Client,
) -> None:
    (payload,) = (v["payload"] for v in VECTORS if v["id"] == "napas-6.1.1-static-account")
    assert emv.has_valid_checksum(payload), "its checksum is right"
    assert bank.post("/_sandbox/pay", json={"qr": payload}).status_code == 404


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"]) for v in VECTORS if v["gateway"] in {"casso", "sepay"}],
)
def test_a_notice_is_signed_as_in_the_published_example(vector: dict[str, Any]) -> None:
    key, moment = vector["secret"].encode(), int(vector["canonical"].partition(".")[0])
    if vector["gateway"] == "casso":
        signed = casso_signature(key, vector["input"], moment)
        assert signed == {"X-Casso-Signature": f"t={moment},v1={vector['expected']}"}
    else:
        assert sepay_signature(key, vector["payload"].encode(), moment) == vector["headers"]
