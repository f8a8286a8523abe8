"""The files with the signing keys: checked before each use, and read again when they change."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import SecretStr

from integrations.keys import KeyRing
from mobinet.settings import Settings, development_keys
from mobinet.settings.value_types import pems

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DEVELOPMENT_KEYS = {"SIGNING": development_keys.signing, "RECEIPTS": development_keys.receipts}


def variable(name: str) -> str:
    """Return the environment variable of a kind of key."""
    return f"MOBINET_KEYS__{name}"


def file_of(settings: Settings, name: str) -> Path | None:
    """Return the file of a kind of key; None if the variable holds the key itself or is unset."""
    value = os.environ.get(variable(name))
    if value is not None:
        return None if "-----BEGIN" in value else Path(value)
    if settings.env == "production":
        return None
    return DEVELOPMENT_KEYS[name](settings.data_dir)


def key_ring(
    settings: Settings, name: str, configured: Sequence[SecretStr], *verifying: str
) -> KeyRing:
    """
    Return the *configured* keys, followed by keys that only verify.

    Without a configured key the first of *verifying* signs.
    """
    file = file_of(settings, name)
    watched = None if file is None else _WatchedFile(name, file)

    def reread() -> list[str] | None:
        changed = watched and watched.changed_keys()
        return [*changed, *verifying] if changed else None

    return KeyRing([*(key.get_secret_value() for key in configured), *verifying], reread=reread)


class _WatchedFile:
    """A key file and its last known state; an unreadable file leaves the keys unchanged."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._stamp: tuple[int, ...] | None = None

    def changed_keys(self) -> Sequence[str] | None:
        """Return the keys of a changed file; None if it did not change or cannot be read."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp == self._stamp:
            return None
        is_first, self._stamp = self._stamp is None, stamp
        try:
            keys = pems(str(self._path))
        except ValueError as error:
            log.error("keys_unreadable", variable=variable(self._name), reason=str(error))
            return None
        if not is_first:
            log.info("keys_reloaded", variable=variable(self._name), keys=len(keys))
        return keys
