"""Mobinet as real processes, for tests: sandbox, API, worker, and more APIs beside it where a story needs them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from integrations.embedded import child_of_this
from tests.support import ROOT

SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 30.0
# What a developer's shell may hold must not reach the stack.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}


class DidNotStart(Exception):
    """The text ends with what the process had to say."""


@dataclass(kw_only=True)
class Process:
    """One part of the stack. `url` is where it serves, if it does."""

    name: str
    command: Sequence[str]
    env: dict[str, str]
    log: Path
    url: str = ""
    answers_at: str | None = None
    running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=CLEAN | self.env | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_of_this(signal.SIGKILL),
            )

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        said = "no answer"
        while self.answers_at is not None:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(self.answers_at, timeout=5, trust_env=False)
                if answer.status_code == 200:
                    return
                said = answer.text
            assert self.running is not None
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{self.name} does not come up: {said}\n{self.last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Let it finish what is in flight; what stays then is killed, and that is a failure."""
        if self.running is None:
            return
        self.running.terminate()
        try:
            self.running.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop:\n{self.last_words()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """As `kill -9` does, with whatever it had started."""
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()
            self.running = None

    def last_words(self) -> str:
        return _end_of(self.log)


class Stack:
    """Everything of one Mobinet, as its environment describes it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.url = env["MOBINET_PUBLIC_URL"]
        self.sandbox_url = f"http://127.0.0.1:{env['MOBINET_SANDBOX_PORT']}"

    @classmethod
    def over(cls, folder: Path, *, database_url: str, redis_url: str) -> Stack:
        """A new one, on free ports, over a migrated database and a Redis."""
        port, sandbox_port = free_ports(2)
        return cls(
            folder,
            {
                "MOBINET_DATABASE_URL": database_url,
                "MOBINET_REDIS_URL": redis_url,
                "MOBINET_DATA_DIR": str(folder / "data"),
                "MOBINET_PUBLIC_URL": f"http://127.0.0.1:{port}",
                "MOBINET_PORT": str(port),
                "MOBINET_SANDBOX_PORT": str(sandbox_port),
            },
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = [
            self._process("sandbox", "-m", "sandbox", url=self.sandbox_url, answers_at="/healthz"),
            self._process(
                "api", *_mobinet("serve", "--workers", "2"), url=self.url, answers_at="/readyz"
            ),
            self._process("worker", *_mobinet("work")),
        ]
        with started(*parts):
            yield

    def api(self, name: str, *, port: int | None = None, **settings: str) -> Process:
        """
        Another API process of this stack, on a port of its own, not yet started.

        Gateways call the stack's first API, unless PUBLIC_URL names another; VNPAY always does.
        """
        port = port or free_ports(1)[0]
        own = {"MOBINET_PORT": str(port)} | {f"MOBINET_{key}": it for key, it in settings.items()}
        return self._process(
            name,
            *_mobinet("serve"),
            url=f"http://127.0.0.1:{port}",
            answers_at="/readyz",
            env=own,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `mobinet` over this stack to its end."""
        return subprocess.run(
            [sys.executable, *_mobinet(*words)],
            cwd=ROOT,
            env=CLEAN | self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def logs(self) -> str:
        return "\n\n".join(
            f"── the last of {log.name}:\n{_end_of(log)}" for log in self.folder.glob("*.log")
        )

    def _process(
        self,
        name: str,
        *command: str,
        url: str = "",
        answers_at: str | None = None,
        env: dict[str, str] | None = None,
    ) -> Process:
        return Process(
            name=name,
            command=command,
            env=self.env | (env or {}),
            log=self.folder / f"{name}.log",
            url=url,
            answers_at=f"{url}{answers_at}" if answers_at else None,
        )


@contextlib.contextmanager
def shared(folder: Path, make: Callable[[], AbstractContextManager[Stack]]) -> Iterator[Stack]:
    """
    One running stack for all processes that name the same folder.

    Who comes first makes it, and ends it when the last one has left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "stack.json"
    with contextlib.ExitStack() as mine, _lock(folder / "users", fcntl.LOCK_SH):
        with _lock(folder / "start", fcntl.LOCK_EX):
            if note.exists():
                stack = Stack(folder, json.loads(note.read_text()))
            else:
                stack = mine.enter_context(make())
                note.write_text(json.dumps(stack.env))
                mine.enter_context(_gone_when_all_have_left(folder / "users", note))
        yield stack


@contextlib.contextmanager
def started(*processes: Process) -> Iterator[None]:
    """All of them, started at once and ended in the opposite order."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
            process.start()
        for process in processes:
            process.wait_until_it_answers()
        yield
        for process in reversed(processes):
            process.stop()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody had a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, kind)
        yield


@contextlib.contextmanager
def _gone_when_all_have_left(users: Path, note: Path) -> Iterator[None]:
    yield
    with _lock(users, fcntl.LOCK_EX):
        note.unlink()


def _end_of(log: Path, lines: int = 60) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _mobinet(*words: str) -> tuple[str, ...]:
    return ("-m", "mobinet", *words)
