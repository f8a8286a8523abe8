"""Bank transfers: our QR, and the notices of Casso and SePay about transfers in and out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.gateways import BadCall, Call, Verdict
from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import GatewayResult
from integrations.bank import notices as bank_notices
from integrations.bank.gateway import BankTransfer
from tests.support.gateways.bank import (
    ACCOUNT,
    BANK_REFERENCE,
    bank,
    casso_call,
    casso_transfer,
    sepay_call,
    sepay_transfer,
)
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, attempt, evidence_of_call
from tests.support.gateways.vectors import VECTORS

BANK = bank()
CASSO: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["casso"]}
(SEPAY,) = VECTORS["sepay"]


# The QR


async def test_a_qr_with_our_account_amount_and_reference_is_accepted_at_once() -> None:
    evidence = await BANK.start(attempt(GatewayName.BANK), ORDER, now=NOW)
    assert (evidence.result, evidence.source) == (GatewayResult.ACCEPTED, None)
    assert evidence.qr_payload
    for part in ("0006970436", f"01{len(ACCOUNT)}{ACCOUNT}", "5406200000", f"0817{REFERENCE}"):
        assert part in evidence.qr_payload
    assert "CONG TY VIEN THONG FPT" in evidence.qr_payload


async def test_an_inquiry_sends_nothing_and_returns_the_same_qr() -> None:
    started = await BANK.start(attempt(GatewayName.BANK), ORDER, now=NOW)
    inquired = await BANK.inquire(attempt(GatewayName.BANK), now=NOW)
    assert inquired.result is GatewayResult.UNPAID
    assert inquired.qr_payload == started.qr_payload


@pytest.mark.parametrize("amount", [500_000_000, 10**12])
async def test_an_amount_above_the_limit_of_a_transfer_is_refused_with_a_sentence(
    amount: int,
) -> None:
    evidence = await BANK.start(attempt(GatewayName.BANK, amount), ORDER, now=NOW)
    assert evidence.result is GatewayResult.NOT_CONNECTED
    assert evidence.failure
    assert evidence.qr_payload is None


# Notices


def bank_of(example: dict[str, Any], account: str) -> BankTransfer:
    """Return the adapter for a published example, with its secret as the second one."""
    secrets = ["another", example["secret"]]
    return BankTransfer(
        bin="970436",
        account=account,
        account_name="FPT",
        casso_secrets=secrets,
        sepay_secrets=secrets,
    )


@pytest.mark.parametrize("id", CASSO)
def test_every_example_of_casso_verifies_with_its_own_secret(id: str) -> None:
    example = CASSO[id]
    moment = int(example["canonical"].partition(".")[0])
    call = Call(
        method="POST",
        query="",
        headers={"X-Casso-Signature": f"t={moment},v1={example['expected']}"},
        body=json.dumps(example["input"]).encode(),
        received_at=NOW.fromtimestamp(moment / 1000, NOW.tzinfo),
        path="bank/casso",
    )
    transfer = example["input"]["data"]
    (notice,) = bank_of(example, transfer["accountNumber"]).read_webhook(call)
    assert notice.event_id == f"casso:{transfer['id']}"
    assert notice.reference is None
    if transfer["id"] == 0:  # a test from Casso's dashboard
        assert notice.evidence is None
    else:
        assert notice.evidence
        assert notice.evidence.money == Money(transfer["amount"])
        assert notice.evidence.gateway_id == transfer["reference"]
    with pytest.raises(BadCall, match="signature"):
        BANK.read_webhook(call)


@pytest.mark.parametrize("id", [SEPAY["id"]])
def test_the_example_of_sepay_verifies_with_its_own_secret(id: str) -> None:
    headers, body = SEPAY["headers"], SEPAY["payload"].encode()
    sent_at = NOW.fromtimestamp(int(headers["X-SePay-Timestamp"]), NOW.tzinfo)

    def call(late: float = 0, content: bytes = body) -> Call:
        at = sent_at + timedelta(seconds=late)
        return Call(
            method="POST",
            query="",
            headers=headers,
            body=content,
            received_at=at,
            path="bank/sepay",
        )

    example_bank = bank_of(SEPAY, "0123499999")
    (notice,) = example_bank.read_webhook(call(late=300))
    assert (notice.event_id, notice.reference) == ("sepay:92704", None)
    assert notice.evidence
    assert notice.evidence.money == Money(2_277_000)
    assert notice.evidence.gateway_id == "MBVCB.3278907687"
    with pytest.raises(BadCall, match="old"):
        example_bank.read_webhook(call(late=301))
    with pytest.raises(BadCall, match="signature"):
        example_bank.read_webhook(call(content=body.replace(b"2277000", b"2277001")))


def casso(**other: Any) -> Call:
    return casso_call({"error": 0, "data": casso_transfer(**other)})


def sepay(**other: Any) -> Call:
    return sepay_call(json.dumps(sepay_transfer(**other)).encode())


@pytest.mark.parametrize("ascii", [False, True], ids=["as it is", "escaped"])
def test_casso_signs_accents_as_they_are_or_escaped(ascii: bool) -> None:
    call = casso_call({"error": 0, "data": casso_transfer(description="cước tháng 6")}, ascii=ascii)
    assert BANK.read_webhook(call)


@pytest.mark.parametrize("call", [casso, sepay], ids=["casso", "sepay"])
@pytest.mark.parametrize("id", [92704, 92704.0, "92704", "92704.0"], ids=ascii)
def test_a_services_number_is_the_same_in_every_notation(call: Any, id: object) -> None:
    (notice,) = BANK.read_webhook(call(id=id))
    assert notice.event_id == f"{call.__name__}:92704"


@pytest.mark.parametrize("call", [casso, sepay], ids=["casso", "sepay"])
@pytest.mark.parametrize("id", [92704.5, "92,704", "9.27e4", "", "x", True], ids=ascii)
def test_a_services_number_that_is_not_whole_is_refused(call: Any, id: object) -> None:
    with pytest.raises(BadCall, match="id"):
        BANK.read_webhook(call(id=id))


def test_one_call_may_report_several_transfers() -> None:
    transfers = [casso_transfer(id=id, amount=amount) for id, amount in ((1, 10), (2, -5), (3, 20))]
    notices = BANK.read_webhook(casso_call({"error": 0, "data": transfers}))
    assert [notice.event_id for notice in notices] == ["casso:1", "casso:2", "casso:3"]
    assert [bool(notice.evidence) for notice in notices] == [True, False, True]
    assert BANK.read_webhook(casso_call({"error": 0, "data": []})) == ()


@pytest.mark.parametrize(
    "call",
    [casso(amount=-200_000), casso(amount=0), sepay(transferType="out"), sepay(transferAmount=0)],
    ids=["casso negative", "casso zero", "sepay out", "sepay zero"],
)
def test_an_outgoing_transfer_is_no_evidence_of_a_payment(call: Call) -> None:
    (notice,) = BANK.read_webhook(call)
    assert notice.evidence is None
    assert notice.reference == BANK_REFERENCE, "people see the transfer with its payment"


@pytest.mark.parametrize("call", [casso, sepay], ids=["casso", "sepay"])
def test_a_transfer_to_another_account_is_evidence_only_with_our_reference(call: Any) -> None:
    plain = {"description": "luong thang 6", "content": "luong thang 6"}
    (unrelated,) = BANK.read_webhook(call(accountNumber="999", **plain))
    assert unrelated.evidence is None
    (misdirected,) = BANK.read_webhook(call(accountNumber="999"))
    assert misdirected.evidence
    assert misdirected.reference is None, "no payment has that money: it becomes a case"
    (virtual,) = BANK.read_webhook(
        call(accountNumber="999", virtualAccountNumber=ACCOUNT, subAccount=ACCOUNT)
    )
    assert virtual.reference == BANK_REFERENCE


def test_both_services_report_the_same_number_of_the_bank() -> None:
    first, second = (evidence_of_call(BANK, call) for call in (casso(), sepay()))
    assert first.gateway_id == second.gateway_id
    assert evidence_of_call(BANK, sepay(referenceCode=" ")).gateway_id == "sepay:92704"


@pytest.mark.parametrize("amount", [200_000.5, True, None, 10**20])
def test_an_unreadable_amount_is_paid_without_money(amount: Any) -> None:
    for call in (casso(amount=amount), sepay(transferAmount=amount)):
        evidence = evidence_of_call(BANK, call)
        assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


@pytest.mark.parametrize(
    "amount", ["-200000", "-200000.0", -200_000.0, -200_000.5, "0", 0.0, "0.00"]
)
def test_an_outgoing_transfer_is_recognised_in_any_notation(amount: Any) -> None:
    for call in (casso(amount=amount), sepay(transferAmount=amount)):
        (notice,) = BANK.read_webhook(call)
        assert notice.evidence is None


def test_casso_may_sign_a_number_as_it_wrote_it_or_as_javascript_writes_it() -> None:
    transfer = casso_transfer(amount=200_000.0)
    as_written = casso_call({"error": 0, "data": transfer})
    assert evidence_of_call(BANK, as_written).money == Money(200_000)
    in_javascript = casso_call({"error": 0, "data": casso_transfer()})
    body = in_javascript.body.replace(b"200000", b"200000.00")
    assert evidence_of_call(BANK, replace(in_javascript, body=body)).money == Money(200_000)
    changed = in_javascript.body.replace(b"200000", b"200001.00")
    with pytest.raises(BadCall, match="verify"):
        BANK.read_webhook(replace(in_javascript, body=changed))


def test_an_id_that_casso_writes_as_a_fraction_is_the_whole_number() -> None:
    (notice,) = BANK.read_webhook(casso_call({"error": 0.0, "data": casso_transfer(id=218897.0)}))
    assert notice.event_id == "casso:218897"


def test_a_signature_is_valid_for_five_minutes_and_with_either_of_two_secrets() -> None:
    notice, body = {"error": 0, "data": casso_transfer()}, json.dumps(sepay_transfer()).encode()
    for seconds in (-300, 300):
        at = NOW + timedelta(seconds=seconds)
        assert BANK.read_webhook(casso_call(notice, at=at, secret="the-old-one"))
        assert BANK.read_webhook(sepay_call(body, at=at, secret="the-old-one"))
    for seconds in (-302, 302):
        at = NOW + timedelta(seconds=seconds)
        for call in (casso_call(notice, at=at), sepay_call(body, at=at)):
            with pytest.raises(BadCall, match="old"):
                BANK.read_webhook(call)
    for call in (casso_call(notice, secret="a-third"), sepay_call(body, secret="a-third")):
        with pytest.raises(BadCall, match="verify"):
            BANK.read_webhook(call)


def test_a_call_of_one_service_is_refused_at_the_address_of_the_other() -> None:
    call = casso()
    for path in ("bank/sepay", "bank", ""):
        crossed = Call(
            method="POST",
            query="",
            headers=call.headers,
            body=call.body,
            received_at=NOW,
            path=path,
        )
        with pytest.raises(BadCall):
            BANK.read_webhook(crossed)


@pytest.mark.parametrize(
    "call",
    [
        casso_call({"error": 1, "data": casso_transfer()}),
        casso_call({"error": 0}),
        casso_call({"error": 0, "data": casso_transfer(id="tx218897")}),
        casso_call({"error": 0, "data": casso_transfer(accountNumber=None)}),
        sepay(transferType="sideways"),
        sepay(id=None),
        sepay(accountNumber=""),
    ],
)
def test_a_notice_with_a_wrong_or_missing_field_is_refused(call: Call) -> None:
    with pytest.raises(BadCall):
        BANK.read_webhook(call)


def test_both_services_get_the_same_answer_and_repeat_a_call_after_our_error() -> None:
    for verdict in Verdict:
        reply = BANK.answer(verdict)
        accepted = verdict not in {Verdict.BAD_SIGNATURE, Verdict.OUR_ERROR}
        assert (reply.status == 200) is accepted
        assert json.loads(reply.body) == {"success": accepted}


@pytest.mark.parametrize(("others", "accepted"), [(4, True), (5, False), (400, False)])
def test_many_presented_signatures_cause_no_extra_work(
    monkeypatch: pytest.MonkeyPatch, others: int, accepted: bool
) -> None:
    computed: list[str] = []
    sign = bank_notices._casso_signature

    def counting_sign(secret: str, moment: str, text: str) -> str:
        computed.append(secret)
        return sign(secret, moment, text)

    monkeypatch.setattr(bank_notices, "_casso_signature", counting_sign)
    call = casso_call({"error": 0, "data": casso_transfer()})
    stamp, _, genuine = call.headers["x-casso-signature"].partition(",")
    padded = ",".join([stamp, *[f"v1={'0' * 128}"] * others, genuine])
    call = replace(call, headers={"x-casso-signature": padded})
    if accepted:
        assert BANK.read_webhook(call)
    else:
        with pytest.raises(BadCall, match="malformed"):
            BANK.read_webhook(call)
    assert len(computed) <= 4, "one for each secret and signed text"
