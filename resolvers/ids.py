"""Ids and randomness: ours sort by time, and secrets can't be guessed."""

from __future__ import annotations

import secrets
import time

from domain.references import LETTERS, PREFIX


class Ids:
    def payment(self) -> str:
        """Return a transaction id: time-ordered, unique."""
        return f"TXN_{_stamp()}{_random(16)}"

    def reference(self) -> str:
        """
        Return what a gateway knows an attempt by: 20 upper-case letters and digits.

        Short and plain enough to survive a bank's rewriting of a transfer's content.
        """
        return f"{PREFIX}{_stamp()}{_random(8)}"

    def record(self, prefix: str) -> str:
        return f"{prefix}_{_stamp()}{_random(16)}"

    def secret(self) -> str:
        """Return 256 bits for a token that opens something."""
        return secrets.token_urlsafe(32)

    def receipt(self) -> str:
        """Return the 160 bits of a receipt's address."""
        return secrets.token_urlsafe(20)


def _stamp() -> str:
    """Return the milliseconds since 1970 in ten letters, so that ids sort by time."""
    now = time.time_ns() // 1_000_000
    return "".join(LETTERS[now >> shift & 31] for shift in range(45, -5, -5))


def _random(letters: int) -> str:
    bits = secrets.randbits(5 * letters)
    return "".join(LETTERS[bits >> shift & 31] for shift in range(0, 5 * letters, 5))
