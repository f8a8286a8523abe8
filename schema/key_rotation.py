"""A new signing key before the old ones: it signs from the next start on, they go on verifying."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from schema import development_keys
from schema.settings import Settings

_AFTER = "Restart the API and the worker, one process after the other; `make run` does on its next start."


class CannotRotate(Exception):
    """The text says why, and what to do instead."""


def rotate(settings: Settings) -> Iterator[str]:
    """Put a new key first in the file of each kind, and yield what was done. Raises CannotRotate."""
    for name, default in (
        ("SIGNING", development_keys.signing),
        ("RECEIPTS", development_keys.receipts),
    ):
        variable = f"MOBINET_KEYS__{name}"
        given = os.environ.get(variable)
        if given is None and settings.env == "production":
            raise CannotRotate(
                f"{variable} is not set, and its key is made of the encryption key. Set it to a file with a new key"
                " (`openssl genpkey -algorithm ed25519`); what the made one signed goes on to verify."
            )
        if given is not None and "-----BEGIN" in given:
            raise CannotRotate(
                f"{variable} holds the key itself. Put a new one (`openssl genpkey -algorithm ed25519`) before it in"
                " the variable, keep the old one behind it, and restart the API and the worker."
            )
        path = default(settings.data_dir) if given is None else Path(given)
        try:
            count = _put_first(path, development_keys.new_ed25519().decode())
        except OSError as error:
            raise CannotRotate(
                f"{path} cannot be written ({error.strerror}). Where a secret store keeps it, put a new key first there."
            ) from error
        yield f"{variable}: a new key signs, {count} verify ({path})"
    yield _AFTER


def _put_first(path: Path, new: str) -> int:
    """Write the file anew in one step; return how many keys it holds."""
    text = f"{new.strip()}\n{path.read_text().strip()}\n"
    handle, draft = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
    return text.count("-----BEGIN")
