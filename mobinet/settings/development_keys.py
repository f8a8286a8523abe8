"""The keys of a development machine, created in the data directory on first use."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def signing(data_dir: Path) -> Path:
    return _file(data_dir / "keys" / "signing.pem", new_ed25519)


def receipts(data_dir: Path) -> Path:
    return _file(data_dir / "keys" / "receipts.pem", new_ed25519)


def encryption(data_dir: Path) -> Path:
    return _file(data_dir / "keys" / "encryption.key", _new_encryption_key)


def _file(path: Path, make: Callable[[], bytes]) -> Path:
    """
    Return the key's file, and create it if it is missing.

    Processes that start together agree: the first to link its complete draft wins.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(make())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            Path(draft).unlink()
    return path


def new_ed25519() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _new_encryption_key() -> bytes:
    return base64.b64encode(secrets.token_bytes(32))
