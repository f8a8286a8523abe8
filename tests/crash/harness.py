"""
Kills a flow at each of its steps, lets a new process recover, and checks the rules of the judge.

Each flow runs once to record its steps, and then once per kill, on a preparation of its own.
Afterwards some customers pay, some clients and gateways repeat their calls, and the worker runs
until nothing is due. The seed draws which of them do so.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from mobinet.settings import Settings
from tests.crash.judge import violations
from tests.crash.preparations import SANDBOX
from tests.support.running_api import ROOT, Sandbox

Json = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")
# A bank has no inquiry, so its notice is repeated until we accept it.
ALWAYS_REPEATED = {"bank's notice"}
WHENS = ("before", "after")
MAX_TRIES = 6
ACCEPTED_ANSWER = b'{"RspCode": "00", "code": "00", "Message": "ok", "success": true}'


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill before or after step number `at` of a flow; `step` is the recorded step."""

    flow: str
    at: int
    when: str
    step: str

    def __str__(self) -> str:
        return f"{self.flow}, {self.when} step {self.at} ({self.step})"

    @classmethod
    def all(cls, recorded: Mapping[str, Sequence[str]]) -> list[Kill]:
        return [
            cls(flow, at, when, step)
            for flow, steps in recorded.items()
            for at, step in enumerate(steps, start=1)
            for when in WHENS
        ]


@dataclass(slots=True)
class Killed:
    kill: Kill
    prepared: Json
    died: bool


class ForkServer:
    """A loaded process that forks for each order; several may run in parallel."""

    def __init__(self, settings: Settings, sandbox: Sandbox, log: Path) -> None:
        self._env = _environment(settings) | {
            SANDBOX: f"http://127.0.0.1:{sandbox.port}",
            "MOBINET_DATA_DIR": str(log.parent),  # the heads of this database's seals alone
        }
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.fork_server"],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("a"),
            text=True,
        )

    def stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)

    def order(self, name: str, **arguments: Any) -> Json:
        """Let a fork carry out the order; fail with its fault, unless it was killed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with self._lock:
            print(json.dumps({"order": name} | arguments), file=process.stdin, flush=True)
            line = process.stdout.readline()
        assert line, f"the fork server ended: see {self._log}"
        answer = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer


class Harness:
    def __init__(
        self,
        fork_servers: Sequence[ForkServer],
        sandbox: Sandbox,
        database: str,
        calls: list[Json],
        seed: int,
    ) -> None:
        self.fork_servers = fork_servers
        self.sandbox = sandbox
        self.database = database
        self.calls = calls
        self.dice = random.Random(seed)
        self._expired: set[str] = set()
        self._known_violations: set[str] = set()
        self._contracts = itertools.count(2000)
        self._staff = itertools.cycle(range(1000, 1900))

    def prepare(self, flows: Sequence[str]) -> list[Json]:
        """Prepare each flow with a contract of its own."""
        done = self._distribute(
            [self._new_preparation(flow) for flow in flows],
            lambda item, share: item.order("prepare", prepared=share)["prepared"],
        )
        for prepared in done:
            prepared["gateway_call"] = self._last_call(prepared["reference"])
        return done

    def _last_call(self, reference: str) -> Json | None:
        """Return the last call about this reference, or None."""
        about = (call for call in reversed(self.calls) if reference in call["query"] + call["body"])
        return next(about, None) if reference else None

    def record(self, flows: Sequence[str]) -> dict[str, list[str]]:
        """Run each flow once without a kill; return its steps."""

        def share(item: ForkServer, subjects: list[Json]) -> list[tuple[str, list[str]]]:
            return [
                (prepared["flow"], item.order("act", prepared=prepared)["steps"])
                for prepared in subjects
            ]

        return dict(self._distribute(self.prepare(flows), share))

    def kill(self, kills: Sequence[Kill], *, fault: str = "") -> list[Killed]:
        """
        Kill a process at each of these steps; repeat those that end before their step.

        A worker that finds a gateway's answer sooner takes fewer steps than were recorded.
        """
        done: list[Killed] = []
        for _ in range(MAX_TRIES):
            attempts = self._try(kills, fault)
            done += attempts
            kills = [attempt.kill for attempt in attempts if not attempt.died]
            if not kills:
                break
        return done

    def _try(self, kills: Sequence[Kill], fault: str) -> list[Killed]:
        def share(item: ForkServer, pairs: list[tuple[Kill, Json]]) -> list[Killed]:
            return [self._kill(item, kill, prepared, fault) for kill, prepared in pairs]

        pairs = zip(kills, self.prepare([kill.flow for kill in kills]), strict=True)
        return self._distribute(list(pairs), share)

    def recover(self, killed: Iterable[Killed]) -> None:
        """Let some customers pay and some clients repeat their request, then run the worker."""
        for charge in self.sandbox.truth["charges"]:
            new = charge["reference"] not in self._expired
            if new and charge["status"] == "pending" and self.dice.random() < 0.5:
                self.sandbox.pay(reference=charge["reference"], drop_webhook=True)
        repeated = [
            interrupted.prepared
            for interrupted in killed
            if interrupted.kill.flow in ALWAYS_REPEATED or self.dice.random() < 0.5
        ]
        self.fork_servers[0].order("repeat", prepared=repeated)
        run = self.fork_servers[-1].order("recover")
        assert not run["failed"], run["failed"]
        # By the worker's clock every open QR has expired, so no customer pays it later.
        self._expired = {charge["reference"] for charge in self.sandbox.truth["charges"]}

    def violations(self) -> list[str]:
        """Return the violations that the last call did not return."""
        found = violations(self.database, self.sandbox.truth)
        new = [violation for violation in found if violation not in self._known_violations]
        self._known_violations.update(found)
        return new

    def _kill(self, item: ForkServer, kill: Kill, prepared: Json, fault: str) -> Killed:
        order = {"at": kill.at, "when": kill.when}
        answer = item.order("act", prepared=prepared, kill=order, fault=fault)
        return Killed(kill, prepared, answer["killed"])

    def _distribute(self, work: list[T], do: Callable[[ForkServer, list[T]], list[R]]) -> list[R]:
        """Distribute the work over the fork servers; return the results in its order."""
        count = len(self.fork_servers)
        shares = [work[nth::count] for nth in range(count)]
        with ThreadPoolExecutor(count) as pool:
            done = list(
                pool.map(
                    lambda item, share: do(item, share) if share else [], self.fork_servers, shares
                )
            )
        return [done[nth % count][nth // count] for nth in range(len(work))]

    def _new_preparation(self, flow: str) -> Json:
        number = next(self._contracts)
        if (number - 2000) % 40 == 39:  # terminated
            number = next(self._contracts)
        return {
            "flow": flow,
            "contract": f"SGFDN{number}",
            "staff": f"NV{next(self._staff)}",
            "key": f"{flow.replace(' ', '-')}-{number}".ljust(20, "-"),
        }


@contextlib.contextmanager
def running_harness(
    settings: Settings,
    sandbox: Sandbox,
    database: str,
    folder: Path,
    *,
    seed: int,
    processes: int = 2,
) -> Generator[Harness]:
    """Run the fork servers, and a server that receives the gateways' calls in place of the API."""
    fork_servers = [
        ForkServer(settings, sandbox, folder / f"fork-server-{nth}.log") for nth in range(processes)
    ]
    calls: list[Json] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(receive_calls(settings.port, calls))
        for server in fork_servers:
            server.start()
            stack.callback(server.stop)
        yield Harness(fork_servers, sandbox, database, calls, seed)


@contextlib.contextmanager
def receive_calls(port: int, calls: list[Json]) -> Generator[None]:
    """Receive calls at the API's port, store each unchanged, and answer that it was accepted."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            calls.append(
                {
                    "path": path,
                    "method": self.command,
                    "query": query,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": body,
                }
            )
            momo = path.endswith("/momo")
            self.send_response(204 if momo else 200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b"" if momo else ACCEPTED_ANSWER)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Listener)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _environment(settings: Settings) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}
    assert settings.database_url is not None
    assert settings.redis_url is not None
    return plain | {
        "MOBINET_DATABASE_URL": settings.database_url.get_secret_value(),
        "MOBINET_REDIS_URL": settings.redis_url.get_secret_value(),
        "MOBINET_PORT": str(settings.port),
        "MOBINET_SANDBOX_PORT": str(settings.sandbox_port),
    }
