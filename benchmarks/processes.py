"""CPU time and private memory of process trees, read from /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process and its descendants, identified by its process id."""

    pid: int

    def pids(self) -> list[int]:
        children = _children()
        found = [self.pid]
        for pid in found:  # the list grows during the loop
            found += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Return the CPU seconds used so far, including children that have ended."""
        return sum(map(_cpu, self.pids()))

    def private_memory(self) -> int:
        """Return the bytes that are not shared with processes outside the tree."""
        return sum(map(_private, self.pids()))


def parent(pid: int) -> int | None:
    """Return the process id of a process's parent, or None where there is no such process."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def name(pid: int) -> str:
    """Return the program name of a process, empty where there is no such process."""
    with contextlib.suppress(OSError):
        return (_PROC / str(pid) / "comm").read_text().strip()
    return ""


def is_measurable() -> bool:
    """Return whether this system reports CPU time and memory in /proc, as Linux does."""
    return _stat(os.getpid()) is not None


def cancel_on_sigterm() -> None:
    """Let SIGTERM cancel the current task, so that its cleanup runs."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit() and (above := parent(int(entry.name))) is not None:
            children.setdefault(above, []).append(int(entry.name))
    return children


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process's `stat` after its name."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _cpu(pid: int) -> float:
    """
    Return CPU seconds.

    Clock ticks are coarse, so the scheduler's nanoseconds are used where they are greater.
    """
    fields = _stat(pid)
    if fields is None:
        return 0.0
    user, system, ended_user, ended_system = map(int, fields[11:15])
    return max((user + system) / _TICK, _scheduled(pid)) + (ended_user + ended_system) / _TICK


def _scheduled(pid: int) -> float:
    total = 0
    with contextlib.suppress(OSError):
        for task in os.scandir(_PROC / str(pid) / "task"):
            with contextlib.suppress(OSError):
                total += int((Path(task.path) / "schedstat").read_text().split()[0])
    return total / 1e9


def _private(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
