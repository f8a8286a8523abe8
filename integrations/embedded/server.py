"""A server of the keeper: a process with its own folder, which dies with the keeper."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

from integrations.embedded.binaries import EmbeddedError
from integrations.embedded.process import (
    child_of_this,
    give_to_lesser_account,
    is_alive,
    lesser_account,
    runs_in,
)

_SECONDS_TO_START = 30.0
_SECONDS_TO_STOP = 10.0


class Server(ABC):
    name: str
    stop_signal: signal.Signals
    """The signal for an orderly stop."""

    def __init__(self, program: Path, folder: Path, sockets: Path, log: Path) -> None:
        self.program = program
        self.folder = folder
        self.sockets = sockets
        self.log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool: ...

    @abstractmethod
    def last_pid(self) -> int | None:
        """Return the pid that the last run wrote to its pid file; None if there is no file."""

    def start(self) -> None:
        self._end_last_run()
        self._make_folder(self.folder)
        self._process = self.spawn(self.command())

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self.is_ready():
            if self.has_died():
                raise EmbeddedError(f"{self.name} ended as it started: see {self.log}.")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} does not answer: see {self.log}.")
            time.sleep(0.005)

    def has_died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        if self._process is None:
            return
        for number in (self.stop_signal, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(number)
            try:
                self._process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                continue
            return

    def spawn(self, command: list[str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """
        Start a program in the server's folder, as the lesser account.

        The folder is entered before root is given up, so that it may lie where only root can go.
        """
        with self.log.open("a") as log:
            return subprocess.Popen(  # noqa: S603
                command,
                cwd=self.folder,
                stdin=stdin,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=child_of_this(self.stop_signal),
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                **lesser_account(),
            )

    def folder_argument(self) -> str:
        """Return the folder's path for the process: root's servers reach it only as their cwd."""
        return "/proc/self/cwd" if os.geteuid() == 0 else str(self.folder)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        give_to_lesser_account(folder)

    def _end_last_run(self) -> None:
        """End the server of a keeper that was killed. On Linux it ends by itself."""
        pid = self.last_pid()
        if pid is None or not runs_in(pid, self.folder):
            return
        for number in (self.stop_signal, signal.SIGKILL):
            deadline = time.monotonic() + _SECONDS_TO_STOP
            os.kill(pid, number)
            while time.monotonic() < deadline:
                if not is_alive(pid) or not runs_in(pid, self.folder):
                    return
                time.sleep(0.01)
