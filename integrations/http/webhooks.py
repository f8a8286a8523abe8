"""
Strict reading of gateways' calls.

A lenient parser could read a signed message in two ways, so repeated fields are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from domain.gateways import BadCall, Call, Notice
from integrations.http.failures import Unreadable
from integrations.http.json_text import check_text, decode
from integrations.http.parsing import WireModel, parse_value

Model = TypeVar("Model", bound=WireModel)

_MAX_FIELDS = 100
MAX_SIGNATURE_AGE = 300  # seconds, into the past and into the future
_TIMED = re.compile(r"t=([0-9]{1,12})((?:,v[0-9]{1,2}=[0-9A-Za-z]{1,128}){1,10})", re.ASCII)


def header(call: Call, name: str) -> str:
    """Return the header of that name in any case; empty if there is none."""
    wanted = name.lower()
    return next((value for key, value in call.headers.items() if key.lower() == wanted), "")


def parse_form(text: str) -> dict[str, str]:
    """Return the fields of a query or form. Raises BadCall if one is malformed or repeated."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
        check_text(pairs)
    except ValueError:
        raise BadCall("the parameters cannot be read") from None
    return _unique(pairs)


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object in UTF-8. Raises BadCall for anything else, or a repeated member."""
    try:
        value = decode(body, pairs=_unique)
    except ValueError:
        raise BadCall("the body is not JSON") from None
    if not isinstance(value, dict):
        raise BadCall("the body is not an object")
    return cast("dict[str, Any]", value)


def parse_event(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return the *fields* of a call as *model*. Raises BadCall."""
    try:
        return parse_value(model, fields)
    except Unreadable as error:
        raise BadCall(str(error)) from None


def notice_without_evidence(
    event_id: str, named: Sequence[object], *, problem: str | None = None
) -> Notice:
    """
    Return the notice of a verified event that reports no money, or cannot be read for a *problem*.

    *named* has what stands in each place where we write our reference, the usual place first, None
    if nothing does. If one is no text, the event's reference is not known.
    """
    is_known = all(isinstance(value, str | None) for value in named)
    references = [value if isinstance(value, str) else "" for value in named]
    return Notice(
        event_id=event_id,
        reference=None,
        evidence=None,
        named=references[0] if is_known else None,
        also_named=tuple(dict.fromkeys(filter(None, references[1:]))),
        problem=problem,
    )


def ascii_body(call: Call) -> str:
    """Return the body of a form. Raises BadCall."""
    try:
        return call.body.decode("ascii")
    except UnicodeDecodeError:
        raise BadCall("the form cannot be read") from None


def any_signature_matches(expected: Iterable[str], presented: Iterable[str]) -> bool:
    """Return whether a signature is in both. Every pair is compared, in constant time."""
    signatures = [signature.lower().encode() for signature in presented]
    matches = [
        hmac.compare_digest(own.encode(), signature) for own in expected for signature in signatures
    ]
    return any(matches)


def check_signature(expected: Iterable[str], presented: Iterable[str]) -> None:
    """Raise BadCall if no signature of the call is one that our secrets make."""
    if not any_signature_matches(expected, presented):
        raise BadCall("the signature does not verify")


def check_signature_age(call: Call, signed_at: float) -> None:
    """Raise BadCall if the call was signed, in seconds since 1970, more than 5 minutes away."""
    if abs(call.received_at.timestamp() - signed_at) > MAX_SIGNATURE_AGE:
        raise BadCall("the signature is too old or from the future")


def check_timed_signature(call: Call, name: str, secrets: Sequence[str]) -> None:
    """
    Check the header *name*, `t=<unix>,v1=<hex>`: an HMAC-SHA256 over the time, a dot and the body.

    There may be several signatures, one for each secret during a rotation: one that verifies is
    enough. Schemes other than v1 are ignored. Raises BadCall.
    """
    match = _TIMED.fullmatch(header(call, name))
    if match is None:
        raise BadCall("the signature is missing or malformed")
    sent_at, schemes = match[1], (scheme.split("=") for scheme in match[2][1:].split(","))
    presented = [value for scheme, value in schemes if scheme == "v1"]
    check_signature((sign_timed(secret, sent_at, call.body) for secret in secrets), presented)
    check_signature_age(call, int(sent_at))


def sign_timed(secret: str, sent_at: str, body: bytes) -> str:
    """Return the HMAC-SHA256 over the time, a dot and the raw body, in hex."""
    signed = sent_at.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return *pairs* as a dictionary. Raises BadCall if a name is repeated."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadCall("a parameter is repeated")
    return fields
