"""
Numbers and ids that people type, folded into the one spelling that is sent, stored and looked up.

Passwords, tokens, keys and reasons are never folded; they mean exactly what was sent.
"""

from __future__ import annotations

import unicodedata

# Non-breaking spaces come from copied text; no number holds one.
_UNBREAKABLE = frozenset("\u00a0\u2007\u202f")
# Invisible characters outside the Unicode category Cf.
_SHAPELESS = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x115F, 0x1160),  # Hangul fillers
        (0x17B4, 0x17B5),  # Khmer inherent vowels
        (0x180B, 0x180F),  # Mongolian variation selectors
        (0x2800, 0x2800),  # blank Braille pattern
        (0x3164, 0x3164),  # Hangul filler
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),  # half-width Hangul filler
        (0xE0100, 0xE01EF),  # variation selectors supplement
    )
    for code in range(first, last + 1)
)


def folded(text: str) -> str:
    """Return *text* in NFKC, without invisible characters and outer spaces."""
    if text.isascii():
        return text.strip()
    visible = "".join(letter for letter in text if not _is_invisible(letter))
    return unicodedata.normalize("NFKC", visible).strip()


def staff_number(text: str) -> str:
    """Return the number of a member of staff as Staff Management writes it."""
    return _capital(text)


def contract_number(text: str) -> str:
    """Return the number of a contract as the internal systems write it."""
    return _capital(text)


def item_id(text: str) -> str:
    """Return the number of a bill, or the id of a fee, as Revenue Management writes it."""
    return _capital(text)


def phone_number(text: str) -> str:
    """Return a phone number without the spaces within it."""
    return folded("".join(folded(text).split()))


def _capital(text: str) -> str:
    """Return the folded text in capitals if it is ASCII, else as it is."""
    plain = folded(text)
    return plain.upper() if plain.isascii() else plain


def _is_invisible(letter: str) -> bool:
    return letter in _UNBREAKABLE or letter in _SHAPELESS or unicodedata.category(letter) == "Cf"
