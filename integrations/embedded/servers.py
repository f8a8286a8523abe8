"""How a process comes by the embedded servers: it holds a shared lock, and sees that a keeper lives.

    users.lock    shared by everyone who uses the servers; the keeper waits for it to be exclusive
    keeper.lock   exclusive to the keeper for its whole life
    start.lock    exclusive to the one who is starting a keeper
    servers.json  written by the keeper once both servers answer, and after each restart of one

Locks are the kernel's: they go with the process that held them, however it died, so no list of pids can be wrong.
"""

import contextlib
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from integrations.embedded.binaries import EmbeddedError

_FOLDER = "embedded"
_SECONDS_TO_START = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    keeper_pid: int
    postgres_url: str
    postgres_pid: int
    valkey_url: str
    valkey_pid: int


@contextlib.contextmanager
def servers(data_dir: Path) -> Generator[Servers]:
    """Both servers, kept running until this process leaves the block or dies. Blocks for a second at most."""
    folder = _folder(data_dir)
    with _lock(folder / "users.lock", fcntl.LOCK_SH):
        yield attach(data_dir)


def attach(data_dir: Path) -> Servers:
    """What runs now, starting a keeper if none lives. For those who already are inside `servers`."""
    folder = _folder(data_dir)
    with _lock(folder / "start.lock", fcntl.LOCK_EX):
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            if _is_free(folder / "keeper.lock"):
                _start_keeper(folder)
            with contextlib.suppress(FileNotFoundError):
                return Servers(**json.loads((folder / "servers.json").read_text()))
            time.sleep(0.01)  # its starter died, and it is not ready yet
    raise EmbeddedError(f"The embedded servers do not answer: see {folder / 'keeper.log'}.")


def gone(data_dir: Path) -> None:
    """Waits until the last keeper has stopped its servers, so that the folder may be deleted."""
    with _lock(_folder(data_dir) / "keeper.lock", fcntl.LOCK_SH):
        pass


def _folder(data_dir: Path) -> Path:
    folder = data_dir.absolute() / _FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} cannot be made ({error.strerror}): set MOBINET_DATA_DIR."
        ) from error
    return folder


def _start_keeper(folder: Path) -> None:
    """Returns when both servers answer."""
    with (folder / "keeper.log").open("a") as log:
        keeper = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "integrations.embedded.keeper", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # a Ctrl-C meant for us is not meant for it
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        said = keeper.stdout.readline().strip()
    if said != "ready":
        keeper.wait()
        raise EmbeddedError(
            said or f"The embedded servers did not start: see {folder / 'keeper.log'}."
        )
    # It outlives us or we outlive it; either way nobody waits for it, and a later start reaps it.


def _is_free(path: Path) -> bool:
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Generator[None]:
    with _open(path) as file:
        fcntl.flock(file, kind)
        yield


def _open(path: Path) -> IO[str]:
    try:
        return path.open("a")
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to another user: set MOBINET_DATA_DIR to a folder of yours."
        ) from error
