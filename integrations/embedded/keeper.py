"""The process that owns both embedded servers: starts them, starts again the one that dies, stops them when nobody is left.

Run as `python -m integrations.embedded.keeper FOLDER`; says `ready` on its output, or why not.
It imports the standard library only, to be up in no time.
"""

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

_LAST_USER_GONE = signal.SIGUSR1
_WAKING = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, _LAST_USER_GONE}
_LONGEST_SOCKET_PATH = 99
_PATIENCE = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def main() -> int:
    folder = Path(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAKING)
    with (folder / "users.lock").open("a") as users, (folder / "keeper.lock").open("a") as keeper:
        fcntl.flock(keeper, fcntl.LOCK_EX)
        (folder / "servers.json").unlink(missing_ok=True)
        os.umask(0o077)
        try:
            with _socket_folder(folder) as sockets:
                _keep(folder, sockets, users.fileno())
        except EmbeddedError as error:
            _say(str(error))
            return 1
        finally:
            # In this order: who gets the users' lock next must find no keeper.
            keeper.close()
    return 0


def _keep(folder: Path, sockets: Path, users: int) -> None:
    found = binaries.find()
    postgres = Postgres(found.postgres, folder / "postgres", sockets, folder / "postgres.log")
    valkey = Valkey(found.valkey, folder / "valkey", sockets, folder / "valkey.log")
    try:
        # Side by side: each only waits for its own process.
        valkey.start()
        postgres.start()
        valkey.wait_until_it_answers()
        postgres.wait_until_it_answers()
        _publish(folder, postgres, valkey)
        _say("ready")
        _watch_users(users)
        while signal.sigwait(_WAKING) == signal.SIGCHLD:
            for server in (postgres, valkey):
                if server.has_died():
                    _start_again(server)
                    _publish(folder, postgres, valkey)
    finally:
        valkey.stop()
        postgres.stop()


def _start_again(server: Server) -> None:
    """PostgreSQL won't start beside children that its last run left; they notice and end soon."""
    for wait in _PATIENCE:
        try:
            server.start()
            server.wait_until_it_answers()
        except EmbeddedError:
            time.sleep(wait)
        else:
            return
    raise EmbeddedError(f"{server.name} keeps ending: see {server.log}.")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # whoever started us may have died
        print(line, flush=True)  # noqa: T201
    os.dup2(2, 1)  # and reads no further


def _watch_users(users: int) -> None:
    def wait() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        os.kill(os.getpid(), _LAST_USER_GONE)

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
    """A private folder for the sockets, whose paths the kernel limits to about a hundred bytes.

    Root's servers run as nobody, who may not be able to come to the data: theirs is always in the shared folder.
    """
    inside = folder / "sockets"
    if os.geteuid() != 0 and _fits(inside):
        inside.mkdir(mode=0o700, exist_ok=True)
        yield inside
        return
    found = folder.stat()
    outside = binaries.shared_folder() / f"{found.st_dev:x}-{found.st_ino:x}"
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
    return len(os.fsencode(sockets / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET_PATH


if __name__ == "__main__":
    sys.exit(main())
