"""The header `Authorization` (RFC 6750, 7617), and the challenge of a 401 response."""

from __future__ import annotations

from base64 import b64decode
from typing import Final
from urllib.parse import unquote_plus

BASIC_CHALLENGE: Final = 'Basic realm="mobinet", charset="UTF-8"'
BEARER_CHALLENGE: Final = 'Bearer realm="mobinet"'


class BadCredentials(Exception):
    """Basic credentials that cannot be read."""


def bearer(header: str) -> str | None:
    """Return the header's bearer token; None without one."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def bearer_challenge(header: str) -> str:
    """Return the challenge for a rejected request with this header."""
    invalid = ', error="invalid_token"' if bearer(header) else ""
    return f"{BEARER_CHALLENGE}{invalid}"


def basic(header: str) -> tuple[str, str] | None:
    """
    Return a client's id and secret, form-decoded (RFC 6749, 2.3.1); None for another scheme.

    Raises BadCredentials.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode()
        encoded_id, _, encoded_secret = decoded.partition(":")
        client_id = unquote_plus(encoded_id, errors="strict")
        secret = unquote_plus(encoded_secret, errors="strict")
    except ValueError:
        raise BadCredentials from None
    if not (client_id.isprintable() and secret.isprintable()):
        raise BadCredentials
    return client_id, secret
