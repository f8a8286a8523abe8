"""
Kills a process at one of its steps, while another stands in the midst of an operation beside it.

The process that dies is a fork of tests/crash. The other one is this process, whose operation is
held at a point of its own, goes on when the first is dead or waits for it, and then ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from structlog.testing import capture_logs

from db import engine
from domain.refusals import Refusal, Refused
from tests.crash.harness import ForkServer, Kill
from tests.crash.preparations import Prepared
from tests.schedules.laboratory import Laboratory, Meeting, act_of
from tests.schedules.operations import OPERATIONS
from tests.schedules.seam import Lane, held_steps
from tests.schedules.situations import Situation, token_of

# The flow of tests/crash that does what an operation does.
FLOW_OF: Mapping[str, str] = {
    "cash": "cash",
    "qr": "qr",
    "webhook": "webhook",
    "inquiry": "verify",
    "expire": "expiry",
    "cancel": "cancel",
    "void": "void",
    "refund": "refund",
    "resolve": "second vote on a case",
    "hand in": "hand-in",
    "settle": "settlement",
}
ACTOR_OF = {"refund": "FI001", "resolve": "FI002"}  # of the others, the collector

BLOCKED_BY = """
    select exists (select from pg_stat_activity
                    where datname = current_database() and pid <> all($1::int[])
                      and pg_blocking_pids(pid) && $1::int[])
"""


@dataclass(slots=True)
class Killed:
    """A kill of the first operation, while the second had taken *point* steps."""

    meeting: Meeting
    kill: Kill
    point: int
    prepared: Prepared
    died: bool
    waited: bool  # whether the first waited for a lock of the second
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.meeting}: {self.kill}, the second after {self.point} steps"


class TwoProcesses:
    def __init__(self, laboratory: Laboratory, server: ForkServer) -> None:
        self._laboratory = laboratory
        self._server = server

    async def kills(self, meeting: Meeting) -> list[tuple[Kill, int]]:
        """Return every kill of the first at three points of the second, as recorded alone."""
        first = await self._prepared(meeting)
        answer = await asyncio.to_thread(self._server.order, "act", prepared=asdict(first[1]))
        second, _ = await self._prepared(meeting)
        with capture_logs(), held_steps():
            lane = _lane(meeting, second)
            await _advance(lane, None)
        kills = Kill.all({FLOW_OF[meeting.operations[0]]: answer["steps"]})
        return [(kill, point) for kill in kills for point in _points(lane.steps)]

    async def kill(self, meeting: Meeting, kill: Kill, point: int) -> Killed:
        """Let the second take *point* steps, kill the first at its step, and let the second end."""
        at, first = await self._prepared(meeting)
        order = {"prepared": asdict(first), "kill": {"at": kill.at, "when": kill.when}}
        watcher = await engine.own_connection()
        try:
            with capture_logs() as logs, held_steps():
                lane = _lane(meeting, at)
                await _advance(lane, point)
                running = asyncio.ensure_future(
                    asyncio.to_thread(self._server.order, "act", may_be_refused=True, **order)
                )
                waited = False
                while not running.done() and not waited:
                    waited = await watcher.fetchval(BLOCKED_BY, list(lane.sessions))
                await _advance(lane, None)
                answer = await running
                result = await lane.result()
        finally:
            await watcher.close()
        killed = Killed(meeting, kill, point, first, answer["killed"], waited)
        killed.wrong += [f"a logged fault: {log}" for log in logs if log["log_level"] == "error"]
        if isinstance(result, BaseException) and not isinstance(result, Refusal | Refused):
            killed.wrong.append(f"{meeting.operations[1]} failed: {result!r}")
        return killed

    async def recover(self, killed: Sequence[Killed], *, repeated: Sequence[Killed]) -> list[str]:
        """Let some clients repeat their request, run what is due, and apply every rule."""
        again = [asdict(each.prepared) for each in repeated]
        await asyncio.to_thread(self._server.order, "repeat", prepared=again)
        return await self._laboratory.judge(killed)

    async def _prepared(self, meeting: Meeting) -> tuple[Situation, Prepared]:
        """Return a new situation, and what the first operation gets of it."""
        with capture_logs():
            at = await self._laboratory.prepare(meeting.situation)
        first = meeting.operations[0]
        token = at.prepared.token
        if first in ACTOR_OF:
            token = await token_of(self._laboratory.context, ACTOR_OF[first])
        return at, replace(at.with_key("a").prepared, flow=FLOW_OF[first], token=token)


def _points(steps: Sequence[str]) -> list[int]:
    """Return three numbers of steps: before and after the first commit, and before the last."""
    commits = [at for at, step in enumerate(steps) if step.startswith("COMMIT")] or [1]
    last = commits[-1] if len(commits) > 1 else 1
    return sorted({commits[0], commits[0] + 1, last})


def _lane(meeting: Meeting, at: Situation) -> Lane:
    lane = Lane("b", act_of(OPERATIONS[meeting.operations[1]], at.with_key("b")), asyncio.Event())
    lane.start()
    return lane


async def _advance(lane: Lane, steps: int | None) -> int:
    """Let the operation take *steps*, or all it has; return how many it took."""
    taken = 0
    while True:
        while not (lane.done or lane.held):
            lane.changed.clear()
            await lane.changed.wait()
        if lane.done or taken == steps:
            return taken
        lane.go()
        taken += 1
