"""Our references: how they look, and how one is found in what a bank has made of a transfer's content."""

from __future__ import annotations

import re
from collections.abc import Iterable

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing to mistake at the door
PREFIX = "MB"
LENGTH = 20

# Ten of the letters are a moment: 0 stays the first of them for a thousand years.
_REFERENCE = re.compile(f"{PREFIX}0[{LETTERS}]{{{LENGTH - len(PREFIX) - 1}}}", re.ASCII)
# An attempt's reference, a refund's id and a payment's id, in any letters: what is in doubt is ours.
_GIVEN_OUT = re.compile(
    rf"{PREFIX}[0-9A-Z]{{{LENGTH - len(PREFIX)}}}|(?:REV|TXN)_[0-9A-Z]{{26}}", re.ASCII
)
_REWRITTEN = re.compile(r"[^0-9A-Z]+", re.ASCII)


def find(texts: Iterable[str]) -> str | None:
    """
    Return the one reference that *texts* hold; None if there is none, or more than one.

    Banks put words around it, change its case, and break it by spaces and marks. Nothing is guessed:
    whoever names two payments by one transfer is understood by people only.
    """
    upper = [text.upper() for text in texts]
    whole = {found for text in upper for found in _REFERENCE.findall(text)}
    mended = {found for text in upper for found in _REFERENCE.findall(_REWRITTEN.sub("", text))}
    found = whole or mended
    return found.pop() if len(found) == 1 else None


def is_ours(reference: str) -> bool:
    """
    Return whether a reference has a form that we ever gave to a gateway, or contains such a reference.

    In doubt it is ours, because nobody looks at what is taken for another program's.
    """
    upper = reference.upper()
    whole = _GIVEN_OUT.fullmatch(upper.strip()) is not None
    return whole or _REFERENCE.search(_REWRITTEN.sub("", upper)) is not None
