"""
The supervisor behind `mobinet run`: it starts, restarts and stops every service.

    lock · ports · embedded servers · start the services · migrate · release the applications ·
    run.json · wait for a signal · stop the applications · stop the dependencies

Services end with the supervisor even when it is killed; PostgreSQL and Valkey end with the last
service.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import httpx
import typer

from integrations.embedded import EmbeddedError, Servers, attach, child_of_this, servers
from mobinet import ports
from mobinet.services import CannotRun, Service, StartPlan
from mobinet.settings import Settings
from mobinet.terminal import ServiceOutput, banner

_SECONDS_TO_START = 90.0
_SECONDS_TO_STOP = 30.0
_SERVER_CHECK_SECONDS = 0.5
_MIN_RESTART_DELAY, _MAX_RESTART_DELAY = 0.1, 15.0
_STABLE_SECONDS = 30.0
"""A service that ran this long restarts after the shortest delay."""


def run(settings: Settings, plan: StartPlan) -> None:
    """Return when all has ended after a signal. Raises CannotRun."""
    with _run_lock(settings.data_dir):
        _check_ports(plan.ports)
        with _embedded_servers(settings) as find_servers:
            asyncio.run(Supervisor(settings, plan, find_servers).run())


class Supervisor:
    def __init__(
        self, settings: Settings, plan: StartPlan, find_servers: Callable[[], Servers | None]
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._find_servers = find_servers
        self._servers = find_servers()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._restarters: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._database_ready = False
        self._up = False
        self._output = ServiceOutput(settings.data_dir / "logs")

    async def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        try:
            if await self._unless_stopped(self._start()):
                self._up = True
                self._write_run_file()
                typer.echo(banner(self._settings, self._plan.services))
                await self._unless_stopped(self._watch_servers())
                typer.echo("Stopping; what is in flight is finished first.")
        finally:
            (self._settings.data_dir / "run.json").unlink(missing_ok=True)
            for services in (self._plan.applications, self._plan.dependencies):
                await asyncio.gather(*map(self._end, services))
            self._output.close()

    def _on_signal(self) -> None:
        """Stop in order at the first signal; kill everything at the second."""
        if self._stop.is_set():
            for process in self._processes.values():
                _signal_group(process, signal.SIGKILL)
        self._stop.set()

    async def _unless_stopped(self, work: Awaitable[None]) -> bool:
        """Return whether the work ended; False where a stop cancelled it."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
            return True
        working.cancel()
        await asyncio.wait((working,))
        return False

    async def _start(self) -> None:
        for service in self._plan.services:
            process = self._processes[service.name] = await self._spawn(service.command)
            restarter = asyncio.create_task(self._restart_until_stopped(service, process))
            self._restarters[service.name] = restarter
        await self._plan.prepare_database(self._owner_url())
        self._database_ready = True
        for process in self._processes.values():
            _end_input(process)
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for service in self._plan.services:
                await self._wait_until_ready(service, client)

    async def _wait_until_ready(self, service: Service, client: httpx.AsyncClient) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while service.ready_url is not None:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(service.ready_url)).status_code == 200:
                    return
            if time.monotonic() > deadline or self._restarters[service.name].done():
                output = self._output.recent(service.name)
                raise CannotRun(f"{service.name} does not come up:\n{output}")
            await asyncio.sleep(0.05)

    # ── one service ──────────────────────────────────────────────────────────────────────────────

    async def _restart_until_stopped(
        self, service: Service, process: asyncio.subprocess.Process
    ) -> None:
        """Start the service again whenever it ends; double the delay where it ended soon."""
        delay = _MIN_RESTART_DELAY
        while True:
            started = time.monotonic()
            copying = asyncio.create_task(self._output.copy(service.name, process.stdout))
            code = await process.wait()
            _signal_group(process, signal.SIGKILL)  # its own children may still run
            await copying
            if self._stop.is_set():
                return
            stable = time.monotonic() - started > _STABLE_SECONDS
            delay = _MIN_RESTART_DELAY if stable else min(delay * 2, _MAX_RESTART_DELAY)
            self._output.report(
                service.name, f"ended ({_exit_reason(code)}); starting it again in {delay:.1f} s"
            )
            await asyncio.sleep(delay)
            process = self._processes[service.name] = await self._spawn(service.command)
            self._write_run_file()

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
            preexec_fn=child_of_this(signal.SIGTERM),
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        if self._database_ready:
            _end_input(process)
        return process

    async def _end(self, service: Service) -> None:
        self._stop.set()
        if service.name not in self._restarters:
            return
        restarter, process = self._restarters[service.name], self._processes[service.name]
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        else:  # it ended by itself and awaits its restart
            restarter.cancel()
        _, unfinished = await asyncio.wait((restarter,), timeout=_SECONDS_TO_STOP)
        if unfinished:
            self._output.report(
                service.name, f"did not end within {_SECONDS_TO_STOP:.0f} s and is killed"
            )
            _signal_group(process, signal.SIGKILL)
            await asyncio.wait((restarter,))

    # ── the embedded servers and run.json ────────────────────────────────────────────────────────

    def _owner_url(self) -> str:
        """Return the database's URL with its owner's login, which may change tables."""
        configured = self._settings.database_owner_url or self._settings.database_url
        if configured is not None:
            return configured.get_secret_value()
        assert self._servers is not None
        return self._servers.postgres_url

    async def _watch_servers(self) -> None:
        while True:
            await asyncio.sleep(_SERVER_CHECK_SECONDS)
            try:
                found = await asyncio.to_thread(self._find_servers)
            except EmbeddedError as error:
                self._output.report("servers", str(error))
                continue
            if found != self._servers:
                self._servers = found
                self._output.report("servers", "an embedded server had ended and was started again")
                self._write_run_file()

    def _write_run_file(self) -> None:
        """Write `run.json`: each service's process and address, once all are ready."""
        if not self._up or self._stop.is_set():
            return
        facts: dict[str, dict[str, Any]] = {
            service.name: {"pid": self._processes[service.name].pid}
            | ({"url": service.url} if service.url else {})
            for service in self._plan.services
        }
        servers = self._servers
        if servers is not None and self._settings.database_url is None:
            facts["postgres"] = {"pid": servers.postgres_pid, "url": servers.postgres_url}
        if servers is not None and self._settings.redis_url is None:
            facts["valkey"] = {"pid": servers.valkey_pid, "url": servers.valkey_url}
        path = self._settings.data_dir / "run.json"
        draft = path.with_name("run.json.new")
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(path)


@contextlib.contextmanager
def _run_lock(data_dir: Path) -> Generator[None]:
    """Hold the lock that admits one supervisor per data directory. Raises CannotRun."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotRun(
                f"Mobinet already runs with {data_dir}, as process {lock.read().strip()}: "
                "stop it, or set MOBINET_DATA_DIR, MOBINET_PORT and MOBINET_SANDBOX_PORT."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        (data_dir / "run.json").unlink(missing_ok=True)  # a killed supervisor leaves it behind
        yield


def _check_ports(needed: dict[str, int]) -> None:
    if len(set(needed.values())) < len(needed):
        raise CannotRun(f"{' and '.join(needed)} are the same port: set one of them to another.")
    taken = {name: port for name, port in needed.items() if not ports.is_free(port)}
    if taken:
        raise CannotRun(
            "\n".join(
                f"Port {port} is taken{f' ({holder})' if (holder := ports.holder(port)) else ''}: "
                f"stop what listens there, or set {name} to another."
                for name, port in taken.items()
            )
        )


@contextlib.contextmanager
def _embedded_servers(settings: Settings) -> Generator[Callable[[], Servers | None]]:
    """Yield a function that returns the embedded servers, and restarts them where they ended."""
    if settings.database_url is not None and settings.redis_url is not None:
        yield lambda: None
        return
    with servers(settings.data_dir):
        yield lambda: attach(settings.data_dir)


def _end_input(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the process and its children."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _exit_reason(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
