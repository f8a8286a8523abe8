"""Mobinet as real processes: sandbox, API, worker, and further APIs where a test needs them."""

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
# The settings of a developer's shell must not reach the stack.
CLEAN_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")
}


class DidNotStart(Exception):
    """A process that did not become ready; the text ends with its log."""


@dataclass(kw_only=True)
class Process:
    """One process of the stack; `url` is empty where it serves nothing."""

    name: str
    command: Sequence[str]
    env: dict[str, str]
    log: Path
    url: str = ""
    ready_url: str | None = None
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=CLEAN_ENVIRONMENT | self.env | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_of_this(signal.SIGKILL),
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        last_answer = "no answer"
        while self.ready_url is not None:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.get(self.ready_url, timeout=5, trust_env=False)
                if answer.status_code == 200:
                    return
                last_answer = answer.text
            assert self.popen is not None
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{self.name} is not ready: {last_answer}\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it gracefully; kill it and fail after SECONDS_TO_STOP."""
        if self.popen is None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not stop:\n{self.log_tail()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it and its children with SIGKILL."""
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
            self.popen = None

    def log_tail(self) -> str:
        return _end_of(self.log)


class Stack:
    """The processes of one Mobinet, which *env* configures."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.url = env["MOBINET_PUBLIC_URL"]
        self.sandbox_url = f"http://127.0.0.1:{env['MOBINET_SANDBOX_PORT']}"

    @classmethod
    def create(cls, folder: Path, *, database_url: str, redis_url: str) -> Stack:
        """Return a stack on free ports, over a migrated database and a Redis."""
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
            self._process("sandbox", "-m", "sandbox", url=self.sandbox_url, ready_url="/healthz"),
            self._process(
                "api", *_mobinet("serve", "--workers", "2"), url=self.url, ready_url="/readyz"
            ),
            self._process("worker", *_mobinet("work")),
        ]
        with started(*parts):
            yield

    def api(self, name: str, *, port: int | None = None, **settings: str) -> Process:
        """
        Return another API process of this stack, on a port of its own, not yet started.

        Gateways call the stack's first API, unless PUBLIC_URL names another; VNPay always calls it.
        """
        port = port or free_ports(1)[0]
        own = {"MOBINET_PORT": str(port)} | {
            f"MOBINET_{name}": value for name, value in settings.items()
        }
        return self._process(
            name,
            *_mobinet("serve"),
            url=f"http://127.0.0.1:{port}",
            ready_url="/readyz",
            env=own,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `mobinet` over this stack until it exits."""
        return subprocess.run(
            [sys.executable, *_mobinet(*arguments)],
            cwd=ROOT,
            env=CLEAN_ENVIRONMENT | self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def logs(self) -> str:
        return "\n\n".join(
            f"── the end of {log.name}:\n{_end_of(log)}" for log in self.folder.glob("*.log")
        )

    def _process(
        self,
        name: str,
        *command: str,
        url: str = "",
        ready_url: str | None = None,
        env: dict[str, str] | None = None,
    ) -> Process:
        return Process(
            name=name,
            command=command,
            env=self.env | (env or {}),
            log=self.folder / f"{name}.log",
            url=url,
            ready_url=f"{url}{ready_url}" if ready_url else None,
        )


@contextlib.contextmanager
def shared_stack(
    folder: Path, make: Callable[[], AbstractContextManager[Stack]]
) -> Iterator[Stack]:
    """
    Share one running stack among all processes that name the same folder.

    The first process makes it, and stops it after the last process has left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "stack.json"
    with contextlib.ExitStack() as owned, _lock(folder / "users", fcntl.LOCK_SH):
        with _lock(folder / "start", fcntl.LOCK_EX):
            if note.exists():
                stack = Stack(folder, json.loads(note.read_text()))
            else:
                stack = owned.enter_context(make())
                note.write_text(json.dumps(stack.env))
                owned.enter_context(_wait_for_other_users(folder / "users", note))
        yield stack


@contextlib.contextmanager
def started(*processes: Process) -> Iterator[None]:
    """Start all processes at once; stop them in the opposite order."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
            process.start()
        for process in processes:
            process.wait_until_ready()
        yield
        for process in reversed(processes):
            process.stop()


def free_ports(count: int) -> list[int]:
    """Return *count* different ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


@contextlib.contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, kind)
        yield


@contextlib.contextmanager
def _wait_for_other_users(users: Path, note: Path) -> Iterator[None]:
    yield
    with _lock(users, fcntl.LOCK_EX):
        note.unlink()


def _end_of(log: Path, lines: int = 60) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _mobinet(*arguments: str) -> tuple[str, ...]:
    return ("-m", "mobinet", *arguments)
