"""Vietnamese text in ASCII, and the length of an SMS."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
_D = str.maketrans("đĐ", "dD")  # Unicode does not decompose them
_UNUSUAL = re.compile(r"[^A-Za-z0-9 .,:_-]+", re.ASCII)


def fold(text: str) -> str:
    """Return *text* in ASCII: accents, and letters without an ASCII form, are removed."""
    decomposed = unicodedata.normalize("NFD", text.translate(_D))
    return decomposed.encode("ascii", "ignore").decode()


def plain(text: str, length: int) -> str:
    """Return *text* folded to letters, digits and the punctuation that every gateway accepts."""
    return " ".join(_UNUSUAL.sub(" ", fold(text)).split())[:length].strip()


class Alphabet(StrEnum):
    GSM7 = "GSM7"
    UCS2 = "UCS2"


@dataclass(frozen=True, slots=True)
class SmsSize:
    alphabet: Alphabet
    units: int
    parts: int


def size(text: str) -> SmsSize:
    """Return how long *text* is as SMS. A character of two units is never split over two parts."""
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        widths = [2 if letter in _EXTENDED else 1 for letter in text]
        return SmsSize(Alphabet.GSM7, sum(widths), _parts(widths, single=160, part=153))
    widths = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    return SmsSize(Alphabet.UCS2, sum(widths), _parts(widths, single=70, part=67))


def _parts(widths: list[int], *, single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1 if widths else 0
    parts, filled = 1, 0
    for width in widths:
        if filled + width > part:
            parts, filled = parts + 1, 0
        filled += width
    return parts
