"""Spellings of a number as people type it, and the search by a number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.running_api import Api

FOUND = "query ($filter: PaymentFilter!) { payments(filter: $filter) { edges { node { id } } } }"


def wide(text: str) -> str:
    """Return *text* in the full-width letters and digits of East Asian keyboards."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


SPELLINGS = {
    "a space behind": lambda text: f"{text} ",
    "spaces and a line's end around": lambda text: f" \t{text}\r\n",
    "lower case": str.lower,
    "full width": wide,
    "full width and lower case": lambda text: wide(text.lower()),
    "a zero width space": lambda text: f"{text[:2]}\u200b{text[2:]}",
    "a byte order mark": lambda text: f"\ufeff{text}",
    "a soft hyphen": lambda text: f"{text[:3]}\u00ad{text[3:]}",
    "a space that does not break": lambda text: f"\u00a0{text[:2]}\u00a0{text[2:]}",
    "marks of direction": lambda text: f"\u202a{text}\u202c\u200f",
    "a full width space": lambda text: f"\u3000{text}\u3000",
}
spelled = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)


def found(api: Api, **filter: Any) -> list[str]:
    """Return the ids of the payments that the filter finds."""
    page = api.get(FOUND, {"filter": filter}, token=api.token("FI001"))
    return [edge["node"]["id"] for edge in page["edges"]]
