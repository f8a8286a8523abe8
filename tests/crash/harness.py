"""
Kills a flow at each of its steps, lets a new process recover, and asks the judge.

For each flow: prepare a subject, run it once to record its steps, prepare one subject a kill, kill;
then customers pay or walk away, clients and gateways repeat themselves or do not, and the worker
runs until nothing is due. Which of them do what is drawn by the seed.
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
from tests.crash.subjects import SANDBOX
from tests.support.running_api import ROOT, Sandbox

Json = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")
# No bank can be asked what came: who tells us of it repeats it until it is understood.
REPEATED = {"bank's notice"}
WHENS = ("before", "after")
TRIES = 6
UNDERSTOOD = b'{"RspCode": "00", "code": "00", "Message": "ok", "success": true}'


@dataclass(frozen=True, slots=True)
class Kill:
    """`step` names what was going on, as it was recorded."""

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
    subject: Json
    died: bool


class Victims:
    """The loaded process and its orders; any number of such processes side by side."""

    def __init__(self, settings: Settings, sandbox: Sandbox, log: Path) -> None:
        self._env = _environment(settings) | {
            SANDBOX: f"http://127.0.0.1:{sandbox.port}",
            "MOBINET_DATA_DIR": str(log.parent),  # what is told of this database's seals alone
        }
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.victims"],
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

    def order(self, do: str, **order: Any) -> Json:
        """Have it done by a fork; raises what went wrong there, unless it was killed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with self._turn:
            print(json.dumps({"do": do} | order), file=process.stdin, flush=True)
            line = process.stdout.readline()
        assert line, f"the victims' process ended: see {self._log}"
        answer = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer


class Harness:
    def __init__(
        self,
        victims: Sequence[Victims],
        sandbox: Sandbox,
        database: str,
        calls: list[Json],
        seed: int,
    ) -> None:
        self.victims = victims
        self.sandbox = sandbox
        self.database = database
        self.calls = calls
        self.dice = random.Random(seed)
        self._over: set[str] = set()
        self._known: set[str] = set()
        self._contracts = itertools.count(2000)
        self._staff = itertools.cycle(range(1000, 1900))

    def subjects(self, flows: Sequence[str]) -> list[Json]:
        """Prepare one for each, with a contract of its own."""
        done = self._shared(
            [self._new(flow) for flow in flows],
            lambda item, share: item.order("prepare", subjects=share)["subjects"],
        )
        for subject in done:
            subject["heard"] = self._heard(subject["reference"])
        return done

    def _heard(self, reference: str) -> Json | None:
        """Return what was called about it, last."""
        about = (call for call in reversed(self.calls) if reference in call["query"] + call["body"])
        return next(about, None) if reference else None

    def record(self, flows: Sequence[str]) -> dict[str, list[str]]:
        """Run each flow once, whole; return its steps."""

        def share(item: Victims, subjects: list[Json]) -> list[tuple[str, list[str]]]:
            return [
                (subject["flow"], item.order("act", subject=subject)["steps"])
                for subject in subjects
            ]

        return dict(self._shared(self.subjects(flows), share))

    def kill(self, kills: Sequence[Kill], *, plant: str = "") -> list[Killed]:
        """
        Kill one victim for each, at its step; who never came to that step is followed by another.

        A worker that finds a gateway's answer sooner takes fewer steps than were recorded.
        """
        done: list[Killed] = []
        for _ in range(TRIES):
            tried = self._tried(kills, plant)
            done += tried
            kills = [item.kill for item in tried if not item.died]
            if not kills:
                break
        return done

    def _tried(self, kills: Sequence[Kill], plant: str) -> list[Killed]:
        def share(item: Victims, pairs: list[tuple[Kill, Json]]) -> list[Killed]:
            return [self._kill(item, kill, subject, plant) for kill, subject in pairs]

        pairs = zip(kills, self.subjects([kill.flow for kill in kills]), strict=True)
        return self._shared(list(pairs), share)

    def aftermath(self, killed: Iterable[Killed]) -> None:
        """Customers pay, or not; who got no answer asks again, or not; then the worker."""
        for charge in self.sandbox.truth["charges"]:
            new = charge["reference"] not in self._over
            if new and charge["status"] == "pending" and self.dice.random() < 0.5:
                self.sandbox.pay(reference=charge["reference"], drop_webhook=True)
        again = [
            item.subject
            for item in killed
            if item.kill.flow in REPEATED or self.dice.random() < 0.5
        ]
        self.victims[0].order("repeat", subjects=again)
        passed = self.victims[-1].order("recover")
        assert not passed["failed"], passed["failed"]
        # By the worker's clock every QR has ended by now: nobody pays it any more.
        self._over = {charge["reference"] for charge in self.sandbox.truth["charges"]}

    def violations(self) -> list[str]:
        """Return what is wrong that was not at the last asking."""
        found = violations(self.database, self.sandbox.truth)
        new = [item for item in found if item not in self._known]
        self._known.update(found)
        return new

    def _kill(self, item: Victims, kill: Kill, subject: Json, plant: str) -> Killed:
        order = {"at": kill.at, "when": kill.when}
        answer = item.order("act", subject=subject, kill=order, plant=plant)
        return Killed(kill, subject, answer["killed"])

    def _shared(self, work: list[T], do: Callable[[Victims, list[T]], list[R]]) -> list[R]:
        """Deal the work out to the loaded processes; return what came of it, in the same order."""
        count = len(self.victims)
        shares = [work[nth::count] for nth in range(count)]
        with ThreadPoolExecutor(count) as pool:
            done = list(
                pool.map(lambda item, share: do(item, share) if share else [], self.victims, shares)
            )
        return [done[nth % count][nth // count] for nth in range(len(work))]

    def _new(self, flow: str) -> Json:
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
def loaded(
    settings: Settings,
    sandbox: Sandbox,
    database: str,
    folder: Path,
    *,
    seed: int,
    side_by_side: int = 2,
) -> Generator[Harness]:
    """The whole harness, ready: loaded processes, and someone who listens where gateways call."""
    victims = [
        Victims(settings, sandbox, folder / f"victims-{nth}.log") for nth in range(side_by_side)
    ]
    calls: list[Json] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(_listening(settings.port, calls))
        for victim in victims:
            victim.start()
            stack.callback(victim.stop)
        yield Harness(victims, sandbox, database, calls, seed)


@contextlib.contextmanager
def _listening(port: int, calls: list[Json]) -> Generator[None]:
    """Listen in the API's place: keep each call raw, and say that it was understood."""

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
            self.wfile.write(b"" if momo else UNDERSTOOD)

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
