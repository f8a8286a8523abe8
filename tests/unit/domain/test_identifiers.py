"""Typed numbers and ids are folded into one spelling."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import contract_number, folded, item_id, phone_number, staff_number

NUMBERS = (staff_number, contract_number, item_id)


@pytest.mark.parametrize("fold", NUMBERS)
@pytest.mark.parametrize(
    "typed",
    [
        "NV1600",
        " NV1600 ",
        "\tnv1600\r\n",
        "ＮＶ１６００",
        "ｎｖ１６００",
        "NV\u200b1600",
        "\ufeffNV1600",
        "NV\u00ad1600",
        "NV\u00a01600",
        "NV\u202f1600\u2007",
        "\u202dNV1600\u202c",
        "\u2066NV1600\u2069",
        "NV1600\u200e\u200f",
        "N\u2060V\u200c1\u200d600",
        "NV1600\ufe0f",
        "NV\u034f1600",
        "\u3164NV1600\u2800",
        "\u3000NV1600\u2003",
    ],
    ids=ascii,
)
def test_every_spelling_of_a_number_is_that_number(fold, typed: str) -> None:
    assert fold(typed) == "NV1600"


@pytest.mark.parametrize(
    "typed",
    [
        "0987654321",
        " 0987 654 321",
        "0987\u00a0654\u202f321",
        "０９８７６５４３２１",
        "0987\u200b654321",
    ],
    ids=ascii,
)
def test_a_phone_number_has_no_spaces(typed: str) -> None:
    assert phone_number(typed) == "0987654321"


@pytest.mark.parametrize(
    "text", ["nv1600ß", "ñv1600", "nv١٦٠٠", "nvı600", "НВ1600".lower()], ids=ascii
)
def test_letters_that_no_system_uses_are_not_capitalised(text: str) -> None:
    """Capitals would turn one number into another: ß into SS, the dotless i into I."""
    assert staff_number(text) == unicodedata.normalize("NFKC", text)


def test_visible_characters_within_a_number_stay() -> None:
    for text in ("NV 1600", "NV-1600", "NV_1600", "NV.1600", "NV\x001600"):
        assert staff_number(text) == text


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    for fold in (folded, phone_number, *NUMBERS):
        assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(codec="ascii")))
def test_ascii_text_is_only_stripped(text: str) -> None:
    assert folded(text) == text.strip()


@given(st.text(), st.characters(categories=["Cf"]), st.integers(0, 50))
def test_invisible_letters_make_no_difference(text: str, letter: str, position: int) -> None:
    assert folded(text[:position] + letter + text[position:]) == folded(text)
