"""Our references: their form, and how to find one in the content of a bank transfer."""

from __future__ import annotations

import re
from collections.abc import Iterable

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, without letters that look alike
PREFIX = "MB"
LENGTH = 20

# The first ten letters are a timestamp, whose first letter stays 0 for a thousand years.
_REFERENCE = re.compile(f"{PREFIX}0[{LETTERS}]{{{LENGTH - len(PREFIX) - 1}}}", re.ASCII)
# The forms of an attempt's reference, a refund's id and a payment's id, with any letters.
_OUR_FORMS = re.compile(
    rf"{PREFIX}[0-9A-Z]{{{LENGTH - len(PREFIX)}}}|(?:REV|TXN)_[0-9A-Z]{{26}}", re.ASCII
)
_SEPARATORS = re.compile(r"[^0-9A-Z]+", re.ASCII)


def find(texts: Iterable[str]) -> str | None:
    """
    Return the only reference in *texts*; None if there is none, or more than one.

    Banks add words, change the case and insert spaces and marks. A transfer that names two payments
    is left to people.
    """
    upper = [text.upper() for text in texts]
    intact = {match for text in upper for match in _REFERENCE.findall(text)}
    joined = {match for text in upper for match in _REFERENCE.findall(_SEPARATORS.sub("", text))}
    references = intact or joined
    return references.pop() if len(references) == 1 else None


def is_ours(reference: str) -> bool:
    """
    Return whether *reference* has one of our forms or contains a reference of ours.

    The forms are wide, because a line that counts as another program's opens no case.
    """
    upper = reference.upper()
    whole = _OUR_FORMS.fullmatch(upper.strip()) is not None
    return whole or _REFERENCE.search(_SEPARATORS.sub("", upper)) is not None
