"""A running Mobinet: sandbox, API and worker of a source tree, on an engine of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client.http import Address, fetch, get
from benchmarks.engine import Engine, connected
from benchmarks.processes import ProcessTree
from integrations.embedded import child_of_this

SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 30.0
CONTRACTS = 1_000_000
LOOK = "look_of_the_benchmark"
"""A column by which counts of statements leave out those of the benchmark itself."""
PARTS = ("API", "worker", "PostgreSQL", "Valkey", "sandbox")
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}


class StackError(Exception):
    """A part did not start or stop; the text ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source tree and the Python of its environment."""

    name: str
    root: Path
    python: Path

    @property
    def program(self) -> Path:
        return self.python.with_name("mobinet")


@dataclass(slots=True)
class Part:
    """One process of a stack, in its own session; it ends with this process."""

    name: str
    command: list[str]
    cwd: Path
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def tree(self) -> ProcessTree | None:
        return ProcessTree(self.process.pid) if self.process else None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=_CLEAN | dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_of_this(signal.SIGKILL),
            )

    async def stop(self) -> None:
        """Terminate the process, wait for it, and then kill what is left of its session."""
        if (process := self.process) is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, SECONDS_TO_STOP)
        self.kill()

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    async def wait_until_it_answers(self, address: Address, path: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while (await fetch(address, get(path), seconds=5)).status != 200:
            has_ended = self.process is None or self.process.poll() is not None
            if has_ended or time.monotonic() > deadline:
                raise StackError(f"{self.name} does not start:\n{self.last_lines()}")
            await asyncio.sleep(0.05)

    def last_lines(self, count: int = 30) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-count:])


@dataclass(slots=True, kw_only=True)
class Stack:
    """A running Mobinet. `api` and `sandbox` are addresses on this machine."""

    source: Source
    engine: Engine
    api: Address
    sandbox: Address
    env: Mapping[str, str]
    folder: Path
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    outer_systems: Source
    """The source tree of the sandbox, the same for all stacks of a run."""

    @property
    def name(self) -> str:
        return self.source.name

    @classmethod
    def of(cls, source: Source, engine: Engine, folder: Path, **settings: str) -> Stack:
        """Return a stack on free ports, not started; *settings* are names without `MOBINET_`."""
        port, sandbox_port = free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        env = {
            "DATABASE_URL": engine.database_url,
            "REDIS_URL": engine.redis_url,
            "DATA_DIR": str(folder / "data"),
            "HOST": "127.0.0.1",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PORT": str(port),
            "SANDBOX_PORT": str(sandbox_port),
            "SANDBOX__CONTRACTS": str(CONTRACTS),
            "TOKEN_LIFETIME": "14400",
        } | settings
        return cls(
            source=source,
            outer_systems=source,
            engine=engine,
            api=Address("127.0.0.1", port),
            sandbox=Address("127.0.0.1", sandbox_port),
            env={f"MOBINET_{name}": value for name, value in env.items()},
            folder=folder,
        )

    async def run(self, *words: str) -> str:
        """Run a command of `mobinet` to its end and return its output. Raises StackError."""
        process = await asyncio.create_subprocess_exec(
            str(self.source.program),
            *words,
            cwd=self.source.root,
            env=_CLEAN | dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode(errors="replace")
        if process.returncode:
            raise StackError(f"mobinet {' '.join(words)} failed:\n{text[-3000:]}")
        return text

    async def start(self) -> None:
        """Start sandbox and API over a migrated database; the worker is started separately."""
        await self.start_sandbox()
        await self.start_api()

    async def start_sandbox(self) -> None:
        part = self._start("sandbox", ["sandbox"], self.outer_systems)
        await part.wait_until_it_answers(self.sandbox, "/healthz")

    async def start_api(self) -> None:
        await self._start("API", ["serve"]).wait_until_it_answers(self.api, "/readyz")

    async def restart_api(self) -> None:
        await self.parts["API"].stop()
        await self.start_api()

    @property
    def works(self) -> bool:
        """Return whether the worker runs."""
        return "worker" in self.parts and self.parts["worker"].process is not None

    async def start_worker(self) -> None:
        """Start the worker and wait until its first checks are over."""
        if not self.works:
            self.start_worker_now()
            await asyncio.sleep(1.0)
            await self.wait_until_quiet()

    def start_worker_now(self) -> None:
        self._start("worker", ["work"])

    async def stop_worker(self) -> None:
        if self.works:
            await self.parts["worker"].stop()

    async def stop(self) -> None:
        for part in reversed(self.parts.values()):
            await part.stop()

    def kill(self) -> None:
        for part in self.parts.values():
            part.kill()

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each part on this machine."""
        trees = {name: part.tree for name, part in self.parts.items()}
        trees |= {"PostgreSQL": self.engine.postgres, "Valkey": self.engine.valkey}
        return {name: tree.cpu() for name in PARTS if (tree := trees.get(name)) is not None}

    async def wait_until_quiet(self, *, share: float = 0.1, seconds: float = 40.0) -> None:
        """Wait until all parts use less than *share* of a core, or *seconds* have passed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = sum(self.cpu().values())
            await asyncio.sleep(0.5)
            if (sum(self.cpu().values()) - before) / 0.5 < share:
                return

    async def drain(self, *, seconds: float = 120.0) -> bool:
        """Wait until only jobs for open QRs are left; return False if others remain."""
        deadline = time.monotonic() + seconds
        statement = (
            "select exists (select from pgqueuer where status in ('queued', 'picked')"
            f" and entrypoint not like '%follow_up%') as {LOOK}"
        )
        async with connected(self.engine.database_url) as connection:
            while await connection.fetchval(statement):
                if time.monotonic() > deadline:
                    return False
                await asyncio.sleep(0.025)
        return True

    def _start(self, name: str, words: list[str], source: Source | None = None) -> Part:
        source = source or self.source
        part = Part(
            name,
            [str(source.program), *words],
            source.root,
            self.env,
            self.folder / f"{name}.log",
        )
        self.parts[name] = part
        part.start()
        return part


def free_ports(count: int) -> list[int]:
    """Return different free ports of this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
