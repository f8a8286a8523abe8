"""Every refusal has a whole sentence in both languages and one type in the API."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime
from typing import Any, get_args, get_type_hints

import pytest

from domain import refusals
from domain.methods import GatewayName, PaymentMethod
from domain.payments import PaymentStatus
from domain.refusals import Refusal, RefusalCode
from domain.sentences import InputProblem, Language, Reason, in_words
from schema import common
from tests.support.builders import NOW

SAMPLES: dict[Any, Any] = {
    str: "…sample…",
    int: 1_234_567,
    datetime: NOW,
    PaymentMethod: PaymentMethod.VNPAY_QR,
    GatewayName: GatewayName.VNPAY,
    PaymentStatus: PaymentStatus.SUCCESS,
    Reason: InputProblem.AMOUNT,
    tuple[PaymentMethod, ...]: (PaymentMethod.CASH, PaymentMethod.FPT_PAY),
}
SECRETS = re.compile(r"password|secret|token|session|hash|card|pan", re.IGNORECASE)


def every(of: type[Refusal] = Refusal) -> list[type[Refusal]]:
    """Return all subclasses, direct and indirect."""
    direct = of.__subclasses__()
    return [*direct, *(indirect for subclass in direct for indirect in every(subclass))]


def an_example(of: type[Refusal], *, empty: bool = False) -> Refusal:
    hints = get_type_hints(of)
    return of(**{field.name: _sample(hints[field.name], empty) for field in fields(of)})  # type: ignore[arg-type]


def _sample(hint: Any, empty: bool) -> Any:
    if type(None) in get_args(hint):
        if empty:
            return None
        hint = next(get_arg for get_arg in get_args(hint) if get_arg is not type(None))
    if hint in SAMPLES:
        return () if empty and hint not in {str, int} and get_args(hint) else SAMPLES[hint]
    return next(iter(hint))


each_refusal = pytest.mark.parametrize("refusal", every(), ids=lambda refusal: refusal.__name__)


@each_refusal
@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("empty", [False, True])
def test_a_sentence_has_no_gap(refusal: type[Refusal], language: Language, empty: bool) -> None:
    sentence = an_example(refusal, empty=empty).text(language)
    assert sentence.strip()
    assert "{" not in sentence
    assert "None" not in sentence
    assert sentence != str(an_example(refusal)), "the code is for programs"


@each_refusal
def test_the_two_sentences_differ(refusal: type[Refusal]) -> None:
    vi, en = refusal.vi, refusal.en
    assert vi != en
    assert en.isascii()


@each_refusal
def test_a_refusal_holds_no_secret(refusal: type[Refusal]) -> None:
    assert not [field.name for field in fields(refusal) if SECRETS.search(field.name)]  # type: ignore[arg-type]


def test_figures_and_moments_are_written_as_each_language_writes_them() -> None:
    refusal = refusals.UpstreamUnavailable(system="Revenue Management")
    assert refusal.text("vi").startswith("Hệ thống Revenue Management")
    assert in_words(1_234_567, "vi") == "1.234.567"
    assert in_words(1_234_567, "en") == "1,234,567"
    assert in_words(NOW, "vi") == "12:06 04/03/2026"
    assert in_words(None, "vi") == in_words((), "en") == "–"


def test_every_code_has_a_class_and_every_class_a_type_of_the_api() -> None:
    published = {api_type.published_model for api_type in common.REFUSALS}  # type: ignore[attr-defined]
    assert {refusal.code for refusal in every()} == set(RefusalCode)
    assert {refusal.code for refusal in published} == set(RefusalCode)
    # A subclass with the same code is shown by the type of its base.
    assert all(published & set(refusal.__mro__) for refusal in every())


@each_refusal
def test_each_refusal_is_shown_by_exactly_one_type(refusal: type[Refusal]) -> None:
    example = an_example(refusal)
    shown = [api_type for api_type in common.REFUSALS if api_type.is_type_of(example, None)]  # type: ignore[attr-defined]
    assert len(shown) == 1
