"""
The chain of the audit rows: each link's hash covers its row and the link before it.

    hash(n) = SHA-256( hash(n-1) ‖ text of row n )        hash(0) = 32 zero bytes

A seal signs the chain up to one link, and its head is also written outside the database. If a row
is edited, deleted, inserted, reordered or cut off, a hash, a signature or an outside head no longer
fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

BEGINNING = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The place of audit row `event` in the chain: `number` counts from 1 without a gap."""

    number: int
    event: int
    prev_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A signature over the links from `first` to `last`; `head` is the hash of the last."""

    first: int
    last: int
    head: bytes
    key_id: str
    signature: bytes
    sealed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The chain's `hash` at link `number`, as it is written outside the database."""

    number: int
    hash: bytes


def linked(rows: Iterable[tuple[int, str]], *, number: int, head: bytes) -> list[Link]:
    """Return the links of the *rows* (id, text) that follow link *number*, whose hash is *head*."""
    links: list[Link] = []
    for event, text in rows:
        number += 1
        after = hashlib.sha256(head + text.encode()).digest()
        links.append(Link(number=number, event=event, prev_hash=head, hash=after))
        head = after
    return links


def sealed_text(first: int, last: int, head: bytes) -> bytes:
    """Return the text that a seal signs; it is no receipt's, though one key signs both."""
    return f"mobinet seal {first} {last} {head.hex()}".encode()
