"""
How a process uses the embedded servers: it holds a shared lock and starts a keeper if none runs.

    users.lock    shared by all users of the servers; the keeper waits for an exclusive lock on it
    keeper.lock   exclusive to the keeper for its whole life
    start.lock    exclusive to the process that is starting a keeper
    servers.json  written by the keeper when both servers are ready, and after each restart of one

The kernel releases a lock when its process ends, however it ends, so no list of pids can be wrong.
"""

from __future__ import annotations

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
    """Yield both servers, which run until this process leaves the block or dies."""
    folder = _folder(data_dir)
    with _lock(folder / "users.lock", fcntl.LOCK_SH):
        yield attach(data_dir)


def attach(data_dir: Path) -> Servers:
    """Return the running servers; start a keeper if none runs. Only for use inside `servers`."""
    folder = _folder(data_dir)
    with _lock(folder / "start.lock", fcntl.LOCK_EX):
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            if _is_free(folder / "keeper.lock"):
                _start_keeper(folder)
            with contextlib.suppress(FileNotFoundError):
                return Servers(**json.loads((folder / "servers.json").read_text()))
            time.sleep(0.01)  # the starter of the keeper died before it was ready
    raise EmbeddedError(f"The embedded servers do not answer: see {folder / 'keeper.log'}.")


def wait_until_stopped(data_dir: Path) -> None:
    """Wait until the last keeper has stopped its servers, so that the folder may be deleted."""
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
    """Start a keeper and return when both servers are ready. Raises EmbeddedError."""
    with (folder / "keeper.log").open("a") as log:
        keeper = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "integrations.embedded.keeper", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C for us must not reach it
        )
    assert keeper.stdout is not None
    with keeper.stdout:
        report = keeper.stdout.readline().strip()
    if report != "ready":
        keeper.wait()
        raise EmbeddedError(
            report or f"The embedded servers did not start: see {folder / 'keeper.log'}."
        )
    # We do not wait for the keeper: it may outlive us, and a later start reaps it.


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
