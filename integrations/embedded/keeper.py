"""
The process that owns both embedded servers: it starts, restarts and finally stops them.

Run as `python -m integrations.embedded.keeper FOLDER`. It prints `ready`, or the reason why not. It
imports only the standard library, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path

from integrations.embedded import binaries
from integrations.embedded.binaries import EmbeddedError
from integrations.embedded.postgres import Postgres
from integrations.embedded.process import give_to_lesser_account
from integrations.embedded.server import Server
from integrations.embedded.valkey import Valkey

_LAST_USER_LEFT = signal.SIGUSR1
_AWAITED_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, _LAST_USER_LEFT}
_MAX_SOCKET_PATH = 99  # bytes; the kernel allows 107
_RESTART_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def main() -> int:
    folder = Path(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED_SIGNALS)
    with (folder / "users.lock").open("a") as users, (folder / "keeper.lock").open("a") as keeper:
        fcntl.flock(keeper, fcntl.LOCK_EX)
        (folder / "servers.json").unlink(missing_ok=True)
        os.umask(0o077)
        try:
            with _socket_folder(folder) as sockets:
                _run_servers(folder, sockets, users.fileno())
        except EmbeddedError as error:
            _report(str(error))
            return 1
        finally:
            # The keeper's lock is released first: the next user must find no keeper.
            keeper.close()
    return 0


def _run_servers(folder: Path, sockets: Path, users: int) -> None:
    programs = binaries.find()
    postgres = Postgres(programs.postgres, folder / "postgres", sockets, folder / "postgres.log")
    valkey = Valkey(programs.valkey, folder / "valkey", sockets, folder / "valkey.log")
    try:
        # Both start at the same time.
        valkey.start()
        postgres.start()
        valkey.wait_until_ready()
        postgres.wait_until_ready()
        _publish(folder, postgres, valkey)
        _report("ready")
        _watch_users(users)
        while signal.sigwait(_AWAITED_SIGNALS) == signal.SIGCHLD:
            for server in (postgres, valkey):
                if server.has_died():
                    _restart(server)
                    _publish(folder, postgres, valkey)
    finally:
        valkey.stop()
        postgres.stop()


def _restart(server: Server) -> None:
    """Start a server again. PostgreSQL waits for child processes of its last run to end."""
    for pause in _RESTART_PAUSES:
        try:
            server.start()
            server.wait_until_ready()
        except EmbeddedError:
            time.sleep(pause)
        else:
            return
    raise EmbeddedError(f"{server.name} ends whenever it starts: see {server.log}.")


def _report(line: str) -> None:
    with contextlib.suppress(OSError):  # the process that started us may have died
        print(line, flush=True)  # noqa: T201
    os.dup2(2, 1)  # it reads only one line


def _watch_users(users: int) -> None:
    def wait() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        os.kill(os.getpid(), _LAST_USER_LEFT)

    threading.Thread(target=wait, daemon=True).start()


def _publish(folder: Path, postgres: Postgres, valkey: Valkey) -> None:
    text = json.dumps(
        {
            "keeper_pid": os.getpid(),
            "postgres_url": postgres.url,
            "postgres_pid": postgres.pid,
            "valkey_url": valkey.url,
            "valkey_pid": valkey.pid,
        }
    )
    draft = folder / "servers.json.new"
    draft.write_text(text)
    draft.replace(folder / "servers.json")


@contextlib.contextmanager
def _socket_folder(folder: Path) -> Generator[Path]:
    """
    Yield a private folder for the sockets, whose paths the kernel limits to about 100 bytes.

    Root's servers run as nobody and may not reach the data, so theirs is in the shared folder.
    """
    inside = folder / "sockets"
    if os.geteuid() != 0 and _fits(inside):
        inside.mkdir(mode=0o700, exist_ok=True)
        yield inside
        return
    status = folder.stat()
    outside = binaries.shared_folder() / f"{status.st_dev:x}-{status.st_ino:x}"
    if not _fits(outside):
        raise EmbeddedError(f"{outside} is too long for a socket: set TMPDIR to a shorter one.")
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir(mode=0o700)
    give_to_lesser_account(outside)
    try:
        yield outside
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def _fits(sockets: Path) -> bool:
    return len(os.fsencode(sockets / ".s.PGSQL.5432.lock")) <= _MAX_SOCKET_PATH


if __name__ == "__main__":
    sys.exit(main())
