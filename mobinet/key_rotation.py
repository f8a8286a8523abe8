"""`mobinet keys rotate`: put a new signing key before the old ones, which still verify."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from domain.staff import Actor, Role
from integrations.keys import SigningKey
from mobinet.bootstrap import process_context
from mobinet.key_files import DEVELOPMENT_KEYS, file_of, variable
from mobinet.settings import Settings, development_keys
from resolvers import keys

OPERATOR = Actor(id="keys", name="mobinet keys rotate", role=Role.SERVICE)
_NOTE = (
    "Running processes on this machine use it at once; those on another machine, once their file"
    " has it."
)


class CannotRotate(Exception):
    """The keys cannot be rotated; the text gives the reason and the remedy."""


async def rotate(settings: Settings, write_line: Callable[[str], None]) -> None:
    """
    Put a new key first in the file of each kind, audit it, and report each by *write_line*.

    Raises CannotRotate.
    """
    files = {name: _file(settings, name) for name in DEVELOPMENT_KEYS}
    async with process_context(settings, pool_size=2) as context:
        for name, path in files.items():
            pem = development_keys.new_ed25519().decode()
            new = SigningKey(pem)
            try:
                await keys.rotate(
                    context.for_actor(OPERATOR),
                    name=name,
                    key_id=new.id,
                    put=lambda path=path, pem=pem: _put_first(path, pem),
                )
            except OSError as error:
                raise CannotRotate(
                    f"{path} cannot be written ({error.strerror})."
                    " Where a secret store keeps it, put a new key first there."
                ) from error
            count = path.read_text().count("-----BEGIN")
            write_line(f"{variable(name)}: the new key {new.id} signs, {count} verify ({path})")
    write_line(_NOTE)


def _file(settings: Settings, name: str) -> Path:
    if (path := file_of(settings, name)) is not None:
        return path
    if os.environ.get(variable(name)) is None:
        raise CannotRotate(
            f"{variable(name)} is not set, so its key is derived from the encryption key. Set it"
            " to a file with a new key (`openssl genpkey -algorithm ed25519`); signatures by the"
            " derived key still verify."
        )
    raise CannotRotate(
        f"{variable(name)} holds the key itself. Put a new one (`openssl genpkey -algorithm"
        " ed25519`) before it in the variable, keep the old one behind it, and restart the API and"
        " the worker."
    )


def _put_first(path: Path, new: str) -> None:
    """Replace the file in one step by one that begins with the new key."""
    text = f"{new.strip()}\n{path.read_text().strip()}\n"
    handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
