"""A search ignores marks, case, width and invisible characters."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payment_search import PaymentFilter, folded
from tests.support.builders import a_payment, an_attempt

SPELLINGS = [
    "Phan Hữu Khoa",
    unicodedata.normalize("NFD", "Phan Hữu Khoa"),
    "Phan Huu Khoa",
    "PHAN HỮU KHOA",
    "phan  hữu\u00a0khoa ",
    "\tPhan Hu\u031b\u0303u Khoa",
    "Phan\u200b Hữu Khoa\ufeff",
    "Ｐｈａｎ Hữu Khoa",
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=ascii)
def test_every_spelling_of_a_name_folds_to_the_same(spelling: str) -> None:
    assert folded(spelling) == "phan huu khoa"


@pytest.mark.parametrize("letter", ["đ", "Đ", "ð", "Ð", "ɖ", "Ɖ", "d", "D"], ids=ascii)
def test_the_vietnamese_d_is_a_d(letter: str) -> None:
    assert folded(f"{letter}ặng") == "dang"


def test_every_vietnamese_vowel_folds_to_its_plain_letter() -> None:
    letters = [base + shape for base in "aeiouy" for shape in ("", "\u0306", "\u0302", "\u031b")]
    tones = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
    for letter in letters:
        for tone in tones:
            for form in ("NFC", "NFD", "NFKC", "NFKD"):
                written = unicodedata.normalize(form, (letter + tone).upper())
                assert folded(written) == letter[0]


@given(st.text())
def test_folding_twice_changes_nothing_more(written: str) -> None:
    assert folded(folded(written)) == folded(written)


@given(st.text())
def test_composed_and_decomposed_are_the_same(written: str) -> None:
    forms = {folded(unicodedata.normalize(form, written)) for form in ("NFC", "NFD")}
    assert forms == {folded(written)}


@given(st.text(), st.text(), st.text())
def test_a_part_of_a_name_matches(before: str, part: str, after: str) -> None:
    name = f"{before} {part} {after}"
    assert PaymentFilter(search=part).matches(a_payment(customer_name=name))


@pytest.mark.parametrize("name", SPELLINGS, ids=ascii)
@pytest.mark.parametrize("search", [*SPELLINGS, "hữu k", "HUU", "an Hưu"], ids=ascii)
def test_a_payment_matches_every_spelling_of_its_customers_name(name: str, search: str) -> None:
    assert PaymentFilter(search=search).matches(a_payment(customer_name=name))


@pytest.mark.parametrize("search", ["Phan Hieu Khoa", "PhanHuuKhoa", "Khoa Phan"])
def test_another_name_does_not_match(search: str) -> None:
    assert not PaymentFilter(search=search).matches(a_payment(customer_name="Phan Hữu Khoa"))


@pytest.mark.parametrize(
    "search", ["SGFDN1015", " sgfdn1015", "mb0001 ", "G\u200b1", "TXN_1", "txn_1"]
)
def test_every_spelling_of_a_number_matches(search: str) -> None:
    payment = a_payment(attempt=an_attempt(gateway_id="G1"))
    assert PaymentFilter(search=search).matches(payment)


@pytest.mark.parametrize("search", ["SGFDN101", "MB00012", "TXN"])
def test_a_part_of_a_number_matches_nothing(search: str) -> None:
    assert not PaymentFilter(search=search).matches(a_payment())
