"""Sentences for clients: plain names of methods and gateways, two languages for each reason."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from domain.bills import BillLocked
from domain.cards import check_token
from domain.gateways import GatewaySilent, GatewayUnavailable
from domain.methods import GatewayName, PaymentMethod
from domain.refusals import InvalidInput
from domain.sentences import Language, Reason
from tests.support.builders import NOW

ALL = {
    "vi": "tiền mặt, ví FPT Pay, mã VNPAY-QR, chuyển khoản ngân hàng, MoMo, thẻ, PayPal",
    "en": "cash, FPT Pay wallet, VNPAY-QR, bank transfer, MoMo, card, PayPal",
}


def test_alternative_methods_have_plain_names() -> None:
    refusal = GatewayUnavailable(gateway=GatewayName.FPT_PAY, alternatives=tuple(PaymentMethod))
    assert refusal.text("vi") == f"Cổng FPT Pay đang gián đoạn. Hãy dùng: {ALL['vi']}."
    assert refusal.text("en") == f"FPT Pay is not available. Use instead: {ALL['en']}."


def test_the_method_that_locks_a_bill_has_a_plain_name() -> None:
    refusal = BillLocked(
        bill_number="U1",
        payment_id="TXN_1",
        held_by="NV001",
        method=PaymentMethod.BANK_TRANSFER,
        until=NOW,
    )
    assert "thu bằng chuyển khoản ngân hàng, đến 12:06 04/03/2026" in refusal.text("vi")
    assert "by bank transfer, until 12:06 04/03/2026" in refusal.text("en")


@pytest.mark.parametrize("language", get_args(Language))
def test_no_sentence_contains_an_enum_name_of_a_method_or_gateway(language: Language) -> None:
    for gateway in GatewayName:
        sentence = GatewaySilent(gateway=gateway).text(language)
        assert "_" not in sentence
        assert "STRIPE" not in sentence
    with pytest.raises(InvalidInput) as caught:
        check_token(PaymentMethod.CASH, "pm_1")
    assert "CARD" not in caught.value.text(language)


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_each_reason_has_two_sentences_with_the_same_facts() -> None:
    for catalogue in Reason.__subclasses__():
        assert len(catalogue.__members__) == len(catalogue), f"{catalogue} repeats a sentence"
        for reason in catalogue:
            assert reason.vi != reason.en
            assert _placeholders(reason.vi) == _placeholders(reason.en), reason
