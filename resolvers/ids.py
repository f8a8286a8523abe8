"""Ids that sort by time, and secrets that cannot be guessed."""

from __future__ import annotations

import secrets
import time

from domain.references import LETTERS, PREFIX


class Ids:
    def payment(self) -> str:
        """Return the id of a payment."""
        return f"TXN_{_stamp()}{_random(16)}"

    def reference(self) -> str:
        """
        Return an attempt's reference for its gateway: 20 upper-case letters and digits.

        It is short and plain, so that it survives a bank's rewriting of a transfer's content.
        """
        return f"{PREFIX}{_stamp()}{_random(8)}"

    def record(self, prefix: str) -> str:
        """Return the id of any other row, with a prefix that names its kind."""
        return f"{prefix}_{_stamp()}{_random(16)}"

    def secret(self) -> str:
        """Return a token of 256 random bits."""
        return secrets.token_urlsafe(32)

    def receipt(self) -> str:
        """Return the token of a receipt's address, of 160 random bits."""
        return secrets.token_urlsafe(20)


def _stamp() -> str:
    """Return the milliseconds since 1970 as ten letters that sort by time."""
    now = time.time_ns() // 1_000_000
    return "".join(LETTERS[now >> shift & 31] for shift in range(45, -5, -5))


def _random(letters: int) -> str:
    bits = secrets.randbits(5 * letters)
    return "".join(LETTERS[bits >> shift & 31] for shift in range(0, 5 * letters, 5))
