"""Phone numbers, text without accents, and the length of an SMS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.notifications import Message
from integrations import phones, text
from integrations.messaging import sms
from tests.support.gateways.vectors import VECTORS


@pytest.mark.parametrize("case", VECTORS["phones"], ids=lambda case: case["input"] or "nothing")
def test_a_mobile_number_has_one_spelling(case: dict[str, str]) -> None:
    local = phones.normalise(case["input"])
    assert local == case["local"]
    assert (phones.e164(local) if local else None) == case["e164"]


@pytest.mark.parametrize(
    "typed",
    [
        "０９８７６５４３２１",
        "\ufeff0987654321",
        "0987\u00a0654\u202f321",
        "\u202a+84 987 654 321\u202c",
        "＋８４９８７６５４３２１",
        "0987\u200b654\u00ad321\u3000",
        "0987\t654\n321",
    ],
    ids=ascii,
)
def test_invisible_letters_and_wide_digits_do_not_matter(typed: str) -> None:
    assert phones.normalise(typed) == "0987654321"


@pytest.mark.parametrize(
    "typed", ["0987654321 ext 5", "+1 202 555 0100", "tel:0987654321", "٠٩٨٧٦٥٤٣٢١", "0" * 200]
)
def test_anything_but_a_vietnamese_mobile_number_is_none(typed: str) -> None:
    assert phones.normalise(typed) is None


@given(st.text())
def test_a_normalised_number_stays_the_same(typed: str) -> None:
    number = phones.normalise(typed)
    assert number is None or phones.normalise(number) == number


@pytest.mark.parametrize("case", VECTORS["folds"], ids=lambda case: case["input"])
def test_accents_are_folded(case: dict[str, str]) -> None:
    assert text.fold(case["input"]) == case["expected"]


@given(st.text())
def test_folded_text_is_ascii(original: str) -> None:
    assert text.fold(original).isascii()


@pytest.mark.parametrize("case", VECTORS["sms"], ids=lambda case: case["id"])
def test_an_sms_is_as_long_as_carriers_count(case: dict[str, str]) -> None:
    size = text.size(case["text"])
    assert (size.alphabet, size.units, size.parts) == (
        case["alphabet"],
        case["units"],
        case["parts"],
    )


def confirmation(link: str = "https://mobinet.vn/pay/abcdefghijklmnopqrstuv") -> str:
    return sms.text(
        Message(
            customer_name="Nguyễn Văn A",
            amount=200_000,
            contract_number="SGFDN1015",
            transaction_id="TXN_0198A6",
            confirmation_link=link,
        )
    )


def test_the_confirmation_is_one_part_without_accents() -> None:
    sent = confirmation()
    assert sent == (
        "Cam on ban da thanh toan 200.000d cuoc HD SGFDN1015. Ma GD TXN_0198A6. "
        "Bien nhan: https://mobinet.vn/pay/abcdefghijklmnopqrstuv"
    )
    assert text.size(sent).parts == 1


def test_a_longer_link_displaces_the_reference() -> None:
    link = "https://mobinet.vn/pay/" + "x" * 60
    sent = confirmation(link)
    assert sent.endswith(link)
    assert "TXN" not in sent
    assert text.size(sent).parts == 1


def test_a_link_that_does_not_fit_is_left_out() -> None:
    sent = confirmation("https://mobinet.vn/pay/" + "x" * 160)
    assert sent.endswith("Ma GD TXN_0198A6.")
    assert text.size(sent).parts == 1
