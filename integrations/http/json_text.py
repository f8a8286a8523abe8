"""JSON decoding that keeps the text of a number that is not a plain integer."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

_MAX_INTEGER_LENGTH = 25  # characters; the text of a longer integer is kept
_PLACEHOLDER = re.compile(r'"([0-9a-f]{16})\.([0-9]+)"', re.ASCII)


@dataclass(frozen=True, slots=True)
class RawNumber:
    """The text of a JSON number that has a point, an exponent or very many digits."""

    text: str

    def __str__(self) -> str:
        return self.text


def _refuse_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")


def decode(
    body: bytes,
    *,
    pairs: Callable[[list[tuple[str, object]]], object] | None = None,
    constant: Callable[[str], object] = _refuse_constant,
) -> object:
    """
    Return the value of a JSON text in UTF-8. Raises ValueError.

    `pairs` builds an object from its members, `constant` a value from NaN and Infinity.
    """
    try:
        value: object = json.loads(
            body.decode(),  # json.loads would also accept bytes in UTF-16 and lone surrogates
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=RawNumber,
            parse_int=_integer,
        )
        check_text(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def encode(value: object, *, ascii: bool, number: Callable[[RawNumber], str] = str) -> str:
    """
    Return *value* as compact JSON with sorted names; *number* writes each RawNumber.

    Raises RecursionError.
    """
    mark = secrets.token_hex(8)  # unpredictable, so that no sender can write a placeholder
    numbers: list[RawNumber] = []

    def placeholder(raw: RawNumber) -> str:
        numbers.append(raw)
        return f"{mark}.{len(numbers) - 1}"

    def replacement(match: re.Match[str]) -> str:
        return number(numbers[int(match[2])]) if match[1] == mark else match[0]

    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii, default=placeholder
    )
    return _PLACEHOLDER.sub(replacement, text) if numbers else text


def check_text(value: object) -> None:
    """Raise ValueError if *value* holds NUL or a lone surrogate: neither can be stored."""
    match value:
        case str():
            value.encode()
            if "\0" in value:
                raise ValueError("NUL")
        case dict():
            for pair in cast("dict[str, object]", value).items():
                check_text(pair)
        case list() | tuple():
            for member in cast("Sequence[Any]", value):
                check_text(member)
        case _:
            pass


def _integer(text: str) -> int | RawNumber:
    plain = len(text) <= _MAX_INTEGER_LENGTH and text != "-0"
    return int(text) if plain else RawNumber(text)
