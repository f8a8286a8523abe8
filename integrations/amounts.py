"""
The one reading of a sum that a gateway writes: digits, optionally with `.0` or `.00`, are that whole number.

A sum is read as text, as a JSON number or string, and never through a float. Whatever else stands in
its place is unreadable, for `243.000` is 243,000 to its sender and 243 to a parser: people get its text.
"""

from __future__ import annotations

import re
from dataclasses import replace

from domain.money import LARGEST, Currency, Money
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.json_text import Number, encode

_WHOLE = re.compile(r"([0-9]{1,16})(?:\.0{1,2})?", re.ASCII)
_LONGEST = 64  # characters of an unreadable sum that people are shown


def whole(written: object) -> int | None:
    """Return the whole number that is written; None where it cannot be read."""
    match = _WHOLE.fullmatch(text_of(written)) if type(written) in {int, str, Number} else None
    number = None if match is None else int(match[1])
    return number if number is not None and number <= LARGEST else None


def text_of(written: object) -> str:
    """Return what is written in a sum's place, as the gateway wrote it."""
    match written:
        case str():
            return written
        case dict():
            return "{…}"
        case list():
            return "[…]"
        case _:
            return encode(written, ascii=False)


def known_currency(name: object) -> Currency | None:
    """Return the currency of that name; None where it is none that we know."""
    return Currency(name) if isinstance(name, str) and name in set(Currency) else None


def with_sum(
    evidence: Evidence, amount: int | None, *, written: object, currency: Currency | None
) -> Evidence:
    """
    Return *evidence* with the *amount* that its adapter read, or with what is written where it read none.

    Money in a `currency` that is None, because we do not know it, is no sum of ours.
    """
    if currency is None:
        return evidence
    if amount is not None:
        return replace(evidence, money=Money(amount, currency))
    if evidence.result is not GatewayResult.PAID:
        return evidence
    return replace(evidence, unreadable=_shown(written, currency))


def _shown(written: object, currency: Currency) -> str:
    text = "".join(item if item.isprintable() else "�" for item in text_of(written))
    if not text or text != text.strip():
        text = f'"{text}"'  # or nobody would see it
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return cut if currency is Currency.VND else f"{cut} {currency}"
