"""Reading what gateways send us: strictly, for a parser that forgives can be made to see two messages in one."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from domain.gateways import BadCall, Call
from integrations.http.client import Unreadable
from integrations.http.json_text import check_text, decode
from integrations.http.parsing import Wire, shaped

W = TypeVar("W", bound=Wire)

_MOST_FIELDS = 100
_WINDOW = 300  # seconds that a timed signature is good for, either way
_TIMED = re.compile(r"t=([0-9]{1,12})((?:,v[0-9]{1,2}=[0-9A-Za-z]{1,128}){1,10})", re.ASCII)


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
        check_text(pairs)
    except ValueError:
        raise BadCall("the parameters cannot be read") from None
    return dict(_once(pairs))


def json_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object in UTF-8; raise BadCall if it is anything else, or repeats a member."""
    try:
        value = decode(body, pairs=_once_object)
    except ValueError:
        raise BadCall("the body is not JSON") from None
    if not isinstance(value, dict):
        raise BadCall("the body is not an object")
    return cast("dict[str, Any]", value)


def event(model: type[W], fields: dict[str, Any]) -> W:
    """Return the *fields* of a call as the model says; raise BadCall where they are otherwise."""
    try:
        return shaped(model, fields)
    except Unreadable as error:
        raise BadCall(str(error)) from None


def check_timed_signature(call: Call, name: str, secrets: Sequence[str]) -> None:
    """
    Check the header *name*, `t=<unix>,v1=<hex>`: an HMAC-SHA256 over the time, a dot and the raw body.

    There may be several, one for each secret during a rotation: one that verifies is enough, and other
    schemes than v1 count for nothing. Raises BadCall.
    """
    match = _TIMED.fullmatch(header(call, name))
    if match is None:
        raise BadCall("the signature is missing or malformed")
    sent_at, schemes = match[1], (item.split("=") for item in match[2][1:].split(","))
    presented = [value.lower() for scheme, value in schemes if scheme == "v1"]
    signed = sent_at.encode() + b"." + call.body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in presented]
    if not any(matches):
        raise BadCall("the signature does not verify")
    if abs(call.received_at.timestamp() - int(sent_at)) > _WINDOW:
        raise BadCall("the signature is too old or from the future")


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
