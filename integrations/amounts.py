"""
How a gateway's amount is read: digits, optionally with `.0` or `.00`, are that whole number.

An amount is read as text, from a JSON number or string, and never through a float. Anything else is
unreadable, because `243.000` is 243,000 to its sender and 243 to a parser: people see its text.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator

from domain.money import MAX_JSON_INTEGER, Currency, Money
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.json_text import RawNumber, encode

_WHOLE_NUMBER = re.compile(r"([0-9]{1,16})(?:\.0{1,2})?", re.ASCII)
_MAX_SHOWN = 64  # characters of an unreadable amount


def whole_number(raw: object) -> int | None:
    """Return the whole number that is written; None where it cannot be read."""
    match = _WHOLE_NUMBER.fullmatch(raw_text(raw)) if type(raw) in {int, str, RawNumber} else None
    number = None if match is None else int(match[1])
    return number if number is not None and number <= MAX_JSON_INTEGER else None


def whole_id(raw: object) -> object:
    """Return an id that is a whole number as an integer, because 5, 5.0 and "5" are the same id."""
    number = whole_number(raw)
    return raw if number is None else number


WholeId = Annotated[int, BeforeValidator(whole_id)]
"""The type of a gateway's numeric id, in any notation."""


def raw_text(raw: object) -> str:
    """Return the text that stands in an amount's place, as the gateway wrote it."""
    match raw:
        case str():
            return raw
        case dict():
            return "{…}"
        case list():
            return "[…]"
        case _:
            return encode(raw, ascii=False)


def known_currency(name: object) -> Currency | None:
    """Return the currency of that name; None if we do not know it."""
    return Currency(name) if isinstance(name, str) and name in set(Currency) else None


def with_amount(
    evidence: Evidence, amount: int | None, *, raw: object, currency: Currency | None
) -> Evidence:
    """
    Return *evidence* with its *amount*, or with the *raw* text where the amount is None.

    Without a known `currency` the evidence has no amount.
    """
    if currency is None:
        return evidence
    if amount is not None:
        return replace(evidence, money=Money(amount, currency))
    if evidence.result is not GatewayResult.PAID:
        return evidence
    return replace(evidence, unreadable=_shown(raw, currency))


def _shown(raw: object, currency: Currency) -> str:
    text = "".join(letter if letter.isprintable() else "�" for letter in raw_text(raw))
    if not text or text != text.strip():
        text = f'"{text}"'  # makes an empty text or outer blanks visible
    shortened = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
    return shortened if currency is Currency.VND else f"{shortened} {currency}"
