"""Reading what gateways send us: strictly, for a parser that forgives can be made to see two messages in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl

from domain.gateways import BadCall, Call

_MOST_FIELDS = 100


def header(call: Call, name: str) -> str:
    """Return a header by its name in any case; empty if there is none."""
    wanted = name.lower()
    return next((value for key, value in call.headers.items() if key.lower() == wanted), "")


def form(text: str) -> dict[str, str]:
    """Return the fields of a query or form; raise BadCall if it is malformed or repeats one."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadCall("the parameters cannot be read") from None
    return dict(_once(pairs))


def json_object(body: bytes, *, fraction: Callable[[str], Any] = float) -> dict[str, Any]:
    """
    Return a JSON object; raise BadCall if it is anything else, or repeats a member.

    `fraction` makes a value of a number that is written with a point or an exponent.
    """
    try:
        told: object = json.loads(
            body,
            object_pairs_hook=_once_object,
            parse_constant=_no_constant,
            parse_float=fraction,
        )
    except (ValueError, RecursionError):
        raise BadCall("the body is not JSON") from None
    if not isinstance(told, dict):
        raise BadCall("the body is not an object")
    return cast("dict[str, Any]", told)


def text_body(call: Call) -> str:
    try:
        return call.body.decode("ascii")
    except UnicodeDecodeError:
        raise BadCall("the form cannot be read") from None


def _once_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(_once(pairs))


def _once(pairs: list[Any]) -> list[Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise BadCall("a parameter is repeated")
    return pairs


def _no_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are no JSON")
