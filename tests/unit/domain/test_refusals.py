"""Every refusal says what to do, in both languages, and has its face in the API."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime
from typing import Any, get_args, get_type_hints

import pytest

from domain import refusals
from domain.methods import GatewayName, PaymentMethod
from domain.payments import PaymentStatus
from domain.refusals import Language, Refusal, RefusalCode
from schema import common
from tests.support.builders import NOW

SAMPLES: dict[Any, Any] = {
    str: "…sample…",
    int: 1_234_567,
    datetime: NOW,
    PaymentMethod: PaymentMethod.VNPAY_QR,
    GatewayName: GatewayName.VNPAY,
    PaymentStatus: PaymentStatus.SUCCESS,
    tuple[PaymentMethod, ...]: (PaymentMethod.CASH, PaymentMethod.FPT_PAY),
}
SECRETS = re.compile(r"password|secret|token|session|hash|card|pan", re.IGNORECASE)


def every(of: type[Refusal] = Refusal) -> list[type[Refusal]]:
    below = of.__subclasses__()
    return [*below, *(deeper for item in below for deeper in every(item))]


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


each_refusal = pytest.mark.parametrize("refusal", every(), ids=lambda item: item.__name__)


@each_refusal
@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("empty", [False, True])
def test_a_refusal_says_something_whole(
    refusal: type[Refusal], language: Language, empty: bool
) -> None:
    said = an_example(refusal, empty=empty).say(language)
    assert said.strip()
    assert "{" not in said
    assert "None" not in said
    assert said != str(an_example(refusal)), "the code is for programs"


@each_refusal
def test_the_two_languages_are_two_languages(refusal: type[Refusal]) -> None:
    vi, en = refusal.vi, refusal.en
    assert vi != en
    assert en.isascii()


@each_refusal
def test_a_refusal_holds_no_secret(refusal: type[Refusal]) -> None:
    assert not [field.name for field in fields(refusal) if SECRETS.search(field.name)]  # type: ignore[arg-type]


def test_figures_and_moments_are_written_as_each_language_writes_them() -> None:
    refused = refusals.UpstreamUnavailable(system="Revenue Management")
    assert refused.say("vi").startswith("Hệ thống Revenue Management")
    assert refusals._spoken(1_234_567, "vi") == "1.234.567"
    assert refusals._spoken(1_234_567, "en") == "1,234,567"
    assert refusals._spoken(NOW, "vi") == "12:06 04/03/2026"
    assert refusals._spoken(None, "vi") == refusals._spoken((), "en") == "–"


def test_every_code_has_a_class_and_every_class_its_face() -> None:
    published = {face.published_model for face in common.REFUSALS}  # type: ignore[attr-defined]
    assert {item.code for item in every()} == set(RefusalCode)
    assert {item.code for item in published} == set(RefusalCode)
    # A subclass that says the same code in other words is shown by the face that it inherits.
    assert all(published & set(item.__mro__) for item in every())


@each_refusal
def test_each_refusal_is_shown_by_exactly_one_face(refusal: type[Refusal]) -> None:
    example = an_example(refusal)
    shown = [face for face in common.REFUSALS if face.is_type_of(example, None)]  # type: ignore[attr-defined]
    assert len(shown) == 1
