"""What we ask of the operating system about processes: die with the parent, run as nobody, whose is this pid."""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

_PR_SET_PDEATHSIG = 1
# Loaded here, not between fork and exec, where importing may deadlock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Account(TypedDict, total=False):
    """The arguments of `Popen` that lay down root; empty for an ordinary user."""

    user: int
    group: int
    extra_groups: list[int]


def lesser_account() -> Account:
    """PostgreSQL refuses root, so its servers run as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_to_lesser_account(folder: Path) -> None:
    account = lesser_account()
    os.chown(folder, account.get("user", -1), account.get("group", -1))


def die_with_parent(with_signal: signal.Signals) -> None:
    """Linux sends the signal when the thread that forked us ends, so fork from the main thread.

    Elsewhere nothing is sent: who starts next clears away what it finds.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, with_signal, 0, 0, 0)


def child_of_this(with_signal: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the child dies with this process and starts with no signal blocked."""
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        die_with_parent(with_signal)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return prepare


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def runs_in(pid: int, folder: Path) -> bool:
    """Is it one of the servers of this folder, and no stranger that was given an old pid?"""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").samefile(folder)
        return False
    command = ["ps", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return str(folder) in shown.stdout
