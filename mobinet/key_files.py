"""The files that hold the keys that sign: looked at before each use, and read again when they have changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import SecretStr

from integrations.keys import KeyRing
from mobinet.settings import Settings, development_keys
from mobinet.settings.kinds import pems

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MADE = {"SIGNING": development_keys.signing, "RECEIPTS": development_keys.receipts}


def variable(name: str) -> str:
    return f"MOBINET_KEYS__{name}"


def file_of(settings: Settings, name: str) -> Path | None:
    """Return the file that holds the keys; None where the environment holds them itself, or has none."""
    given = os.environ.get(variable(name))
    if given is not None:
        return None if "-----BEGIN" in given else Path(given)
    return None if settings.env == "production" else MADE[name](settings.data_dir)


def ring(settings: Settings, name: str, given: Sequence[SecretStr], *more: str) -> KeyRing:
    """Return the keys that were *given*, and *more*, which only verify where any was."""
    file = file_of(settings, name)
    watched = None if file is None else _Watched(name, file)

    def again() -> list[str] | None:
        found = watched and watched.changed()
        return [*found, *more] if found else None

    return KeyRing([*(item.get_secret_value() for item in given), *more], again=again)


class _Watched:
    """A file, known by what the system says of it. What cannot be read leaves the keys as they were."""

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        self._known: tuple[int, ...] | None = None

    def changed(self) -> Sequence[str] | None:
        try:
            now = self._path.stat()
        except OSError:
            return None
        stamp = (now.st_mtime_ns, now.st_ino, now.st_size)
        if stamp == self._known:
            return None
        first, self._known = self._known is None, stamp
        try:
            found = pems(str(self._path))
        except ValueError as error:
            log.error("keys not read", variable=variable(self._name), why=str(error))
            return None
        if not first:
            log.info("keys read anew", variable=variable(self._name), keys=len(found))
        return found
