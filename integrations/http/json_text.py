"""JSON in which a number that is no plain whole one keeps the text that it was written with."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

_PLAIN = 25  # characters; a longer whole number is kept as text
_PLACE = re.compile(r'"([0-9a-f]{16})\.([0-9]+)"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number with a point, an exponent or very many digits, as it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


def _refuse_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are no JSON")


def decode(
    body: bytes,
    *,
    pairs: Callable[[list[tuple[str, object]]], object] | None = None,
    constant: Callable[[str], object] = _refuse_constant,
) -> object:
    """
    Return the value of a JSON text in UTF-8. Raises ValueError.

    `pairs` makes an object of its members, and `constant` a value of NaN and Infinity.
    """
    try:
        value: object = json.loads(
            body.decode(),  # bytes would be taken for UTF-16, and for halves of letters too
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=Number,
            parse_int=_whole,
        )
        check_text(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def encode(value: object, *, ascii: bool, number: Callable[[Number], str] = str) -> str:
    """
    Return *value* as compact JSON with sorted names, and each Number as *number* writes it.

    Raises RecursionError.
    """
    mark = secrets.token_hex(8)  # holds a number's place; no sender can know it
    numbers: list[Number] = []

    def placed(other: Number) -> str:
        numbers.append(other)
        return f"{mark}.{len(numbers) - 1}"

    def written(found: re.Match[str]) -> str:
        return number(numbers[int(found[2])]) if found[1] == mark else found[0]

    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii, default=placed
    )
    return _PLACE.sub(written, text) if numbers else text


def check_text(value: object) -> None:
    """Raise ValueError if a text in *value* holds NUL or half a letter: neither can be signed or kept."""
    match value:
        case str():
            value.encode()
            if "\0" in value:
                raise ValueError("NUL")
        case dict():
            for pair in cast("dict[str, object]", value).items():
                check_text(pair)
        case list() | tuple():
            for each in cast("Sequence[Any]", value):
                check_text(each)
        case _:
            pass


def _whole(text: str) -> int | Number:
    plain = len(text) <= _PLAIN and text != "-0"
    return int(text) if plain else Number(text)
