"""What `mobinet run` does: starts every part of the system, starts again the one that dies, and ends them all in order.

    lock · ports · embedded servers · sandbox, api and worker load · migrate · they begin · run.json · a signal · the same way back

Parts die with us even when we are killed, and PostgreSQL and Valkey with the last of the parts.
"""

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
from mobinet.parts import CannotRun, Part, Plan
from mobinet.settings import Settings
from mobinet.terminal import Voice, banner

_SECONDS_TO_START = 90.0
_SECONDS_TO_STOP = 30.0
_SECONDS_BETWEEN_LOOKS = 0.5
_FIRST_WAIT, _LONGEST_WAIT, _STEADY = 0.1, 15.0, 30.0


def run(settings: Settings, plan: Plan) -> None:
    """Returns when all has ended after a signal; raises `CannotRun` when it did not come up."""
    with _alone(settings.data_dir):
        _check_ports(plan.ports)
        with _embedded(settings) as look:
            asyncio.run(Supervisor(settings, plan, look).run())


class Supervisor:
    def __init__(self, settings: Settings, plan: Plan, look: Callable[[], Servers | None]) -> None:
        self._settings = settings
        self._plan = plan
        self._look = look
        self._servers = look()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._prepared = False
        self._up = False
        self._voice = Voice(settings.data_dir / "logs")

    async def run(self) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, self._told_to_stop)
        try:
            if await self._unless_stopped(self._start()):
                self._up = True
                self._publish()
                typer.echo(banner(self._settings, [*self._plan.first, *self._plan.then]))
                await self._unless_stopped(self._watch_servers())
                typer.echo("Stopping; what is in flight is finished first.")
        finally:
            (self._settings.data_dir / "run.json").unlink(missing_ok=True)
            for parts in (self._plan.then, self._plan.first):
                await asyncio.gather(*map(self._end, parts))
            self._voice.close()

    def _told_to_stop(self) -> None:
        if self._stop.is_set():  # told twice: at once
            for process in self._running.values():
                _signal(process, signal.SIGKILL)
        self._stop.set()

    async def _unless_stopped(self, work: Awaitable[None]) -> bool:
        """Whether the work was done, rather than interrupted by the wish to stop."""
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
        for part in (*self._plan.first, *self._plan.then):
            await self._keep(part)
        await self._plan.prepare(self._database())
        self._prepared = True
        for process in self._running.values():
            _end_input(process)
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for part in (*self._plan.first, *self._plan.then):
                await self._answer_of(part, client)

    async def _answer_of(self, part: Part, client: httpx.AsyncClient) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while part.answers_at is not None:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(part.answers_at)).status_code == 200:
                    return
            if time.monotonic() > deadline or self._keeping[part.name].done():
                raise CannotRun(f"{part.name} does not come up:\n{self._voice.last(part.name)}")
            await asyncio.sleep(0.05)

    # One part

    async def _keep(self, part: Part) -> None:
        process = self._running[part.name] = await self._spawn(part.command)
        self._keeping[part.name] = asyncio.create_task(self._kept(part, process))

    async def _kept(self, part: Part, process: asyncio.subprocess.Process) -> None:
        """Starts the part again whenever it ends, and waits longer each time that it ends soon."""
        wait = _FIRST_WAIT
        while True:
            started = time.monotonic()
            listening = asyncio.create_task(self._voice.listen(part.name, process.stdout))
            code = await process.wait()
            _signal(process, signal.SIGKILL)  # children of its own that it left
            await listening
            if self._stop.is_set():
                return
            wait = (
                _FIRST_WAIT
                if time.monotonic() - started > _STEADY
                else min(wait * 2, _LONGEST_WAIT)
            )
            self._voice.say(part.name, f"ended ({_why(code)}); starting it again in {wait:.1f} s")
            await asyncio.sleep(wait)
            process = self._running[part.name] = await self._spawn(part.command)
            self._publish()

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us, who then end them in order
            preexec_fn=child_of_this(signal.SIGTERM),
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        if self._prepared:
            _end_input(process)
        return process

    async def _end(self, part: Part) -> None:
        self._stop.set()
        if part.name not in self._keeping:
            return
        keeping, process = self._keeping[part.name], self._running[part.name]
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        else:  # between two lives
            keeping.cancel()
        _, unfinished = await asyncio.wait((keeping,), timeout=_SECONDS_TO_STOP)
        if unfinished:
            self._voice.say(part.name, f"did not end within {_SECONDS_TO_STOP:.0f} s and is killed")
            _signal(process, signal.SIGKILL)
            await asyncio.wait((keeping,))

    # The embedded servers, and what is told about all

    def _database(self) -> str:
        """As the owner, who may change its tables."""
        given = self._settings.database_owner_url or self._settings.database_url
        if given is not None:
            return given.get_secret_value()
        assert self._servers is not None
        return self._servers.postgres_url

    async def _watch_servers(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            try:
                seen = await asyncio.to_thread(self._look)
            except EmbeddedError as error:
                self._voice.say("servers", str(error))
                continue
            if seen != self._servers:
                self._servers = seen
                self._voice.say("servers", "an embedded server had ended and was started again")
                self._publish()

    def _publish(self) -> None:
        """`run.json`, once everything has answered and again whenever a process is replaced."""
        if not self._up or self._stop.is_set():
            return
        facts: dict[str, dict[str, Any]] = {
            part.name: {"pid": self._running[part.name].pid}
            | ({"url": part.url} if part.url else {})
            for part in (*self._plan.first, *self._plan.then)
        }
        if self._servers is not None and self._settings.database_url is None:
            facts["postgres"] = {
                "pid": self._servers.postgres_pid,
                "url": self._servers.postgres_url,
            }
        if self._servers is not None and self._settings.redis_url is None:
            facts["valkey"] = {"pid": self._servers.valkey_pid, "url": self._servers.valkey_url}
        path = self._settings.data_dir / "run.json"
        draft = path.with_name("run.json.new")
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(path)


@contextlib.contextmanager
def _alone(data_dir: Path) -> Generator[None]:
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
        (data_dir / "run.json").unlink(missing_ok=True)  # of one that was killed
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
def _embedded(settings: Settings) -> Generator[Callable[[], Servers | None]]:
    """What tells the servers of the moment, and starts them where they are gone."""
    if settings.database_url is not None and settings.redis_url is not None:
        yield lambda: None
        return
    with servers(settings.data_dir):
        yield lambda: attach(settings.data_dir)


def _end_input(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To the whole group, of which it is the leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _why(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
