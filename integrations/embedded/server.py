"""One server as the keeper sees it: a process in a folder of its own that dies with the keeper."""

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
    gentle: signal.Signals
    """The signal that lets it end its work first."""

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
    def answers(self) -> bool: ...

    @abstractmethod
    def left_behind(self) -> int | None:
        """The pid that its last run wrote down, if any."""

    def start(self) -> None:
        self._clear_away()
        self._make_folder(self.folder)
        self._process = self.spawn(self.command())

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self.answers():
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
        for each in (self.gentle, signal.SIGQUIT, signal.SIGKILL):
            self._process.send_signal(each)
            try:
                self._process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                continue
            return

    def spawn(self, command: list[str], stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """In its folder and as its account. The folder is entered before root is laid down, so that
        it may lie where the account alone could never come to."""
        with self.log.open("a") as log:
            return subprocess.Popen(  # noqa: S603
                command,
                cwd=self.folder,
                stdin=stdin,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
                preexec_fn=child_of_this(self.gentle),
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                **lesser_account(),
            )

    def here(self) -> str:
        """The folder as its process may name it: root's servers have it as their working directory only."""
        return "/proc/self/cwd" if os.geteuid() == 0 else str(self.folder)

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        give_to_lesser_account(folder)

    def _clear_away(self) -> None:
        """Ends what a keeper that was killed left behind; on Linux it is ending already."""
        pid = self.left_behind()
        if pid is None or not runs_in(pid, self.folder):
            return
        for each in (self.gentle, signal.SIGKILL):
            deadline = time.monotonic() + _SECONDS_TO_STOP
            os.kill(pid, each)
            while time.monotonic() < deadline:
                if not is_alive(pid) or not runs_in(pid, self.folder):
                    return
                time.sleep(0.01)
