"""System calls about processes: death with the parent, the account, the owner of a pid."""

from __future__ import annotations

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
# Loaded here, because an import between fork and exec may deadlock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Account(TypedDict, total=False):
    """The arguments of `Popen` that give up root; empty for an ordinary user."""

    user: int
    group: int
    extra_groups: list[int]


def lesser_account() -> Account:
    """Return the account nobody for root, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_to_lesser_account(folder: Path) -> None:
    account = lesser_account()
    os.chown(folder, account.get("user", -1), account.get("group", -1))


def die_with_parent(with_signal: signal.Signals) -> None:
    """
    Let Linux send us the signal when the thread that forked us ends: fork from the main thread.

    Other systems send nothing. There the next start ends what it finds.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, with_signal, 0, 0, 0)


def child_of_this(with_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child dies with this process, and no signal is blocked in it."""
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        die_with_parent(with_signal)
        if os.getppid() != parent:  # it died before prctl was called
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
    """Return whether a process is a server of this folder, and not one that reuses an old pid."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").samefile(folder)
        return False
    command = ["ps", "-o", "command=", "-p", str(pid)]
    output = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return str(folder) in output.stdout
