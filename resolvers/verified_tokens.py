"""Access tokens whose signature was verified, until they expire: a signature is checked once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from domain.staff import Actor

MAX_VERIFIED = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """What a token proves, and the id of the key that signed it."""

    actor: Actor
    expires_at: datetime
    key_id: str


class VerifiedTokens:
    """Tokens by their SHA-256; the least recently used are dropped first."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def find(self, digest: bytes) -> VerifiedToken | None:
        """Return the token, which may have expired; None where it is not remembered."""
        if (token := self._tokens.get(digest)) is not None:
            self._tokens.move_to_end(digest)
        return token

    def add(self, digest: bytes, token: VerifiedToken) -> None:
        self._tokens[digest] = token
        if len(self._tokens) > MAX_VERIFIED:
            self._tokens.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        self._tokens.pop(digest, None)
