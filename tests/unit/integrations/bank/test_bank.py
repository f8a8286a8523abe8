"""A bank transfer: a QR that asks nobody, and what the two services tell of our account, in or out, ours or not."""

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
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, attempt, told_by
from tests.support.gateways.vectors import VECTORS

BANK = bank()
CASSO: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["casso"]}
(SEPAY,) = VECTORS["sepay"]


# The QR


async def test_a_qr_holds_our_account_the_amount_and_our_reference_and_is_accepted_at_once() -> (
    None
):
    evidence = await BANK.start(attempt(GatewayName.BANK), ORDER, now=NOW)
    assert (evidence.result, evidence.source) == (GatewayResult.ACCEPTED, None)
    assert evidence.qr_payload
    for part in ("0006970436", f"01{len(ACCOUNT)}{ACCOUNT}", "5406200000", f"0817{REFERENCE}"):
        assert part in evidence.qr_payload
    assert "CONG TY VIEN THONG FPT" in evidence.qr_payload


async def test_nobody_is_asked_and_a_lost_qr_is_made_again() -> None:
    begun = await BANK.start(attempt(GatewayName.BANK), ORDER, now=NOW)
    asked = await BANK.inquire(attempt(GatewayName.BANK), now=NOW)
    assert asked.result is GatewayResult.UNPAID
    assert asked.qr_payload == begun.qr_payload


@pytest.mark.parametrize("amount", [500_000_000, 10**12])
async def test_more_than_one_transfer_can_carry_is_refused_in_words(amount: int) -> None:
    evidence = await BANK.start(attempt(GatewayName.BANK, amount), ORDER, now=NOW)
    assert evidence.result is GatewayResult.NOT_CONNECTED
    assert evidence.failure
    assert evidence.qr_payload is None


# What is told


def own(example: dict[str, Any], account: str) -> BankTransfer:
    """The account of a published example, with its secret beside another."""
    secrets = ["another", example["secret"]]
    return BankTransfer(
        bin="970436",
        account=account,
        account_name="FPT",
        casso_secrets=secrets,
        sepay_secrets=secrets,
    )


@pytest.mark.parametrize("id", CASSO)
def test_every_example_of_casso_verifies_by_its_own_secret(id: str) -> None:
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
    (notice,) = own(example, transfer["accountNumber"]).read_webhook(call)
    assert notice.event_id == f"casso:{transfer['id']}"
    assert notice.reference is None
    if transfer["id"] == 0:  # a try from Casso's dashboard
        assert notice.evidence is None
    else:
        assert notice.evidence
        assert notice.evidence.money == Money(transfer["amount"])
        assert notice.evidence.gateway_id == transfer["reference"]
    with pytest.raises(BadCall, match="signature"):
        BANK.read_webhook(call)


@pytest.mark.parametrize("id", [SEPAY["id"]])
def test_the_example_of_sepay_verifies_by_its_own_secret(id: str) -> None:
    headers, body = SEPAY["headers"], SEPAY["payload"].encode()
    sent_at = NOW.fromtimestamp(int(headers["X-SePay-Timestamp"]), NOW.tzinfo)

    def call(late: float = 0, content: bytes = body) -> Call:
        at = sent_at + timedelta(seconds=late)
        return Call(
            method="POST", query="", headers=headers, body=content, received_at=at, path="bank/sepay"
        )  # fmt: skip

    ours = own(SEPAY, "0123499999")
    (notice,) = ours.read_webhook(call(late=300))
    assert (notice.event_id, notice.reference) == ("sepay:92704", None)
    assert notice.evidence
    assert notice.evidence.money == Money(2_277_000)
    assert notice.evidence.gateway_id == "MBVCB.3278907687"
    with pytest.raises(BadCall, match="old"):
        ours.read_webhook(call(late=301))
    with pytest.raises(BadCall, match="signature"):
        ours.read_webhook(call(content=body.replace(b"2277000", b"2277001")))


def casso(**other: Any) -> Call:
    return casso_call({"error": 0, "data": casso_transfer(**other)})


def sepay(**other: Any) -> Call:
    return sepay_call(json.dumps(sepay_transfer(**other)).encode())


@pytest.mark.parametrize("ascii", [False, True], ids=["as it is", "escaped"])
def test_casso_signs_accents_as_they_are_or_escaped(ascii: bool) -> None:
    call = casso_call({"error": 0, "data": casso_transfer(description="cước tháng 6")}, ascii=ascii)
    assert BANK.read_webhook(call)


def test_one_call_may_tell_of_several_transfers() -> None:
    transfers = [casso_transfer(id=id, amount=amount) for id, amount in ((1, 10), (2, -5), (3, 20))]
    notices = BANK.read_webhook(casso_call({"error": 0, "data": transfers}))
    assert [notice.event_id for notice in notices] == ["casso:1", "casso:2", "casso:3"]
    assert [bool(notice.evidence) for notice in notices] == [True, False, True]
    assert BANK.read_webhook(casso_call({"error": 0, "data": []})) == ()


@pytest.mark.parametrize(
    "call",
    [casso(amount=-200_000), casso(amount=0), sepay(transferType="out"), sepay(transferAmount=0)],
    ids=["casso below nothing", "casso nothing", "sepay out", "sepay nothing"],
)
def test_what_leaves_the_account_says_nothing_of_a_payment(call: Call) -> None:
    (notice,) = BANK.read_webhook(call)
    assert notice.evidence is None
    assert notice.reference == BANK_REFERENCE, "people see it beside the payment"


@pytest.mark.parametrize("call", [casso, sepay], ids=["casso", "sepay"])
def test_another_account_is_another_business_unless_a_payment_of_ours_is_named(call: Any) -> None:
    plain = {"description": "luong thang 6", "content": "luong thang 6"}
    (theirs,) = BANK.read_webhook(call(accountNumber="999", **plain))
    assert theirs.evidence is None
    (strayed,) = BANK.read_webhook(call(accountNumber="999"))
    assert strayed.evidence
    assert strayed.reference is None, "no payment has that money: people look for it"
    (virtual,) = BANK.read_webhook(
        call(accountNumber="999", virtualAccountNumber=ACCOUNT, subAccount=ACCOUNT)
    )
    assert virtual.reference == BANK_REFERENCE


def test_the_banks_own_number_is_the_same_whichever_service_tells() -> None:
    one, other = (told_by(BANK, call) for call in (casso(), sepay()))
    assert one.gateway_id == other.gateway_id
    assert told_by(BANK, sepay(referenceCode=" ")).gateway_id == "sepay:92704"


@pytest.mark.parametrize("amount", [200_000.5, True, None, 10**20])
def test_an_amount_that_is_no_whole_number_is_paid_with_no_money(amount: Any) -> None:
    for call in (casso(amount=amount), sepay(transferAmount=amount)):
        said = told_by(BANK, call)
        assert (said.result, said.money) == (GatewayResult.PAID, None)


@pytest.mark.parametrize(
    "amount", ["-200000", "-200000.0", -200_000.0, -200_000.5, "0", 0.0, "0.00"]
)
def test_what_leaves_the_account_is_known_in_any_notation(amount: Any) -> None:
    for call in (casso(amount=amount), sepay(transferAmount=amount)):
        (notice,) = BANK.read_webhook(call)
        assert notice.evidence is None


def test_casso_may_sign_a_number_as_it_wrote_it_or_as_javascript_writes_it() -> None:
    transfer = casso_transfer(amount=200_000.0)
    as_written = casso_call({"error": 0, "data": transfer})
    assert told_by(BANK, as_written).money == Money(200_000)
    in_javascript = casso_call({"error": 0, "data": casso_transfer()})
    body = in_javascript.body.replace(b"200000", b"200000.00")
    assert told_by(BANK, replace(in_javascript, body=body)).money == Money(200_000)
    other = in_javascript.body.replace(b"200000", b"200001.00")
    with pytest.raises(BadCall, match="verify"):
        BANK.read_webhook(replace(in_javascript, body=other))


def test_an_id_that_casso_writes_as_a_fraction_is_the_whole_number() -> None:
    (notice,) = BANK.read_webhook(casso_call({"error": 0.0, "data": casso_transfer(id=218897.0)}))
    assert notice.event_id == "casso:218897"


def test_a_signature_is_good_for_five_minutes_and_by_one_of_two_secrets() -> None:
    told, body = {"error": 0, "data": casso_transfer()}, json.dumps(sepay_transfer()).encode()
    for seconds in (-300, 300):
        at = NOW + timedelta(seconds=seconds)
        assert BANK.read_webhook(casso_call(told, at=at, secret="the-old-one"))
        assert BANK.read_webhook(sepay_call(body, at=at, secret="the-old-one"))
    for seconds in (-302, 302):
        at = NOW + timedelta(seconds=seconds)
        for call in (casso_call(told, at=at), sepay_call(body, at=at)):
            with pytest.raises(BadCall, match="old"):
                BANK.read_webhook(call)
    for call in (casso_call(told, secret="a-third"), sepay_call(body, secret="a-third")):
        with pytest.raises(BadCall, match="verify"):
            BANK.read_webhook(call)


def test_one_service_is_not_believed_at_the_others_address() -> None:
    call = casso()
    for path in ("bank/sepay", "bank", ""):
        crossed = Call(
            method="POST", query="", headers=call.headers, body=call.body, received_at=NOW, path=path
        )  # fmt: skip
        with pytest.raises(BadCall):
            BANK.read_webhook(crossed)


@pytest.mark.parametrize(
    "call",
    [
        casso_call({"error": 1, "data": casso_transfer()}),
        casso_call({"error": 0}),
        casso_call({"error": 0, "data": casso_transfer(id="218897")}),
        casso_call({"error": 0, "data": casso_transfer(accountNumber=None)}),
        sepay(transferType="sideways"),
        sepay(id=None),
        sepay(accountNumber=""),
    ],
)
def test_what_lacks_a_field_is_refused(call: Call) -> None:
    with pytest.raises(BadCall):
        BANK.read_webhook(call)


def test_both_services_are_content_with_one_answer_and_call_again_when_we_failed() -> None:
    for verdict in Verdict:
        reply = BANK.answer(verdict)
        understood = verdict not in {Verdict.BAD_SIGNATURE, Verdict.OUR_ERROR}
        assert (reply.status == 200) is understood
        assert json.loads(reply.body) == {"success": understood}


@pytest.mark.parametrize(("others", "read"), [(4, True), (5, False), (400, False)])
def test_how_many_signatures_a_call_presents_does_not_keep_us_busy(
    monkeypatch: pytest.MonkeyPatch, others: int, read: bool
) -> None:
    made: list[str] = []
    sign = bank_notices._casso_signature

    def counted(secret: str, moment: str, text: str) -> str:
        made.append(secret)
        return sign(secret, moment, text)

    monkeypatch.setattr(bank_notices, "_casso_signature", counted)
    call = casso_call({"error": 0, "data": casso_transfer()})
    stamp, _, genuine = call.headers["x-casso-signature"].partition(",")
    padded = ",".join([stamp, *[f"v1={'0' * 128}"] * others, genuine])
    call = replace(call, headers={"x-casso-signature": padded})
    if read:
        assert BANK.read_webhook(call)
    else:
        with pytest.raises(BadCall, match="malformed"):
            BANK.read_webhook(call)
    assert len(made) <= 4, "one for each secret and way of writing"
