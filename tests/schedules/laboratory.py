"""
Runs schedules of operations in prepared situations, and judges them when nothing is due.

Many schedules share one judgement, each on a contract and a collector of its own; a violation is
counted for the schedule whose rows it names. A schedule that ended with a fault is wrong as well.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from structlog.testing import capture_logs

from db import engine
from domain.refusals import Refusal, Refused
from resolvers import sealing
from resolvers.context import Context
from resolvers.invariants import check_all
from tests.crash.due_jobs import run_due_jobs
from tests.crash.judge import violations
from tests.crash.preparations import GatewayCall, Prepared, second_contract, system_context
from tests.schedules.operations import OPERATIONS
from tests.schedules.schedule import (
    Schedule,
    shortened,
    with_one_preemption,
    with_two_preemptions,
)
from tests.schedules.scheduler import Ran, run_schedule
from tests.schedules.situations import Situation, prepare_situation
from tests.support import proof
from tests.support.proof import share
from tests.support.running_api import Sandbox

# A payment after a reversal does not wait for Debt to learn of the reversal: Debt refuses it until
# then, and its job is repeated. That Debt has each success once is a rule of the judge.
DEBT_LATER = re.compile("'system': 'debt'.* is more than the .* that is owed")


@dataclass(frozen=True, slots=True)
class Meeting:
    """Operations that meet in a situation, written `situation: first, second`."""

    situation: str
    operations: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> tuple[Meeting, Schedule]:
        """Return the meeting and the schedule of a text that `str` of a `Case` returns."""
        situation, names, schedule = text.rsplit(": ", 2)
        return cls(situation, tuple(names.split(", "))), Schedule.parse(schedule)

    def __str__(self) -> str:
        return f"{self.situation}: {', '.join(self.operations)}"


class Judged(Protocol):
    """What was run on a contract of its own; `wrong` collects its violations."""

    prepared: Prepared
    wrong: list[str]


@dataclass(slots=True)
class Case:
    """A schedule that was run, on what, and what was wrong with it."""

    meeting: Meeting
    schedule: Schedule
    prepared: Prepared
    ran: Ran
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.meeting}: {self.schedule}"


@dataclass(slots=True)
class Laboratory:
    context: Context
    sandbox: Sandbox
    database: str
    calls: list[dict[str, Any]]
    checks: Any  # a connection that may read everything
    _contracts: itertools.count[int] = field(default_factory=lambda: itertools.count(2000))
    _staff: itertools.cycle[int] = field(default_factory=lambda: itertools.cycle(range(1000, 1900)))
    _known: set[str] = field(default_factory=set)

    async def prepare(self, situation: str) -> Situation:
        """Prepare the situation on a new contract, with the next collector."""
        number = next(self._contracts)
        if (number - 2000) % 40 == 39:  # terminated
            number = next(self._contracts)
        given = Prepared(
            flow=situation,
            contract=f"SGFDN{number}",
            staff=f"NV{next(self._staff)}",
            key=f"schedule-{number}".ljust(20, "-"),
        )
        at = await prepare_situation(self.context, situation, given)
        call = self._last_call(at.prepared.reference)
        return replace(at, prepared=replace(at.prepared, gateway_call=call))

    def _last_call(self, reference: str) -> GatewayCall | None:
        about = (call for call in reversed(self.calls) if reference in call["query"] + call["body"])
        found = next(about, None) if reference else None
        return GatewayCall(**found) if found else None

    async def run(self, meeting: Meeting, schedule: Schedule) -> Case:
        """Run one schedule; a fault of an operation is wrong at once."""
        with capture_logs():
            at = await self.prepare(meeting.situation)
        acts = [
            act_of(OPERATIONS[name], at.with_key(letter))
            for name, letter in zip(meeting.operations, "abc", strict=False)
        ]
        with capture_logs() as logs:
            ran = await run_schedule(acts, schedule)
        faults = [f"a logged fault: {log}" for log in logs if log["log_level"] == "error"]
        faults += [
            f"{name} failed: {result!r}"
            for name, result in zip(meeting.operations, ran.results, strict=True)
            if isinstance(result, BaseException) and not isinstance(result, Refusal | Refused)
        ]
        return Case(meeting, schedule, at.prepared, ran, faults)

    async def judge(self, cases: Sequence[Judged]) -> list[str]:
        """
        Run what is due, apply every rule, and count each violation for its schedule.

        Returns the violations that name the rows of none of them.
        """
        system = system_context(self.context)
        with capture_logs():
            run = await run_due_jobs(system)
            while await sealing.seal(system):
                pass
        found = await asyncio.to_thread(violations, self.database, self.sandbox.truth)
        keys, heads = self.context.keys.receipts, self.context.heads
        for invariant in await check_all([self.checks], keys, heads, signatures=True):
            found += [
                f"{invariant.name}: {row.table} {row.row} {row.why}" for row in invariant.rows
            ]
        new = [
            line
            for line in [*run.failed, *found]
            if line not in self._known and not DEBT_LATER.search(line)
        ]
        self._known.update(new)
        names = {id(case): await _names_of(case.prepared) for case in cases}
        for line in list(new):
            for case in cases:
                if any(name in line for name in names[id(case)]):
                    case.wrong.append(line)
                    new.remove(line)
                    break
        return new

    async def steps(self, meeting: Meeting) -> tuple[dict[str, int], list[Case]]:
        """Return the steps that each operation takes when it is the first, and those runs."""
        letters = "abc"[: len(meeting.operations)]
        orders = {first: first + letters.replace(first, "") for first in letters}
        cases = {first: await self.run(meeting, Schedule.parse(orders[first])) for first in letters}
        steps = {first: case.ran.steps[first] for first, case in cases.items()}
        return steps, list(cases.values())

    async def explore(self, meeting: Meeting, *, most: int | None = None) -> list[Case]:
        """
        Run every schedule of two operations with at most one preemption, and judge them.

        With *most*, the seed draws as many of them.
        """
        steps, cases = await self.steps(meeting)
        schedules = [turn for turn in with_one_preemption(steps) if turn.preemptions]
        if most is not None:
            schedules = share(schedules, most, str(meeting))
        return await self._judged(meeting, cases, schedules)

    async def sample(self, meeting: Meeting, count: int) -> list[Case]:
        """Run *count* schedules with two preemptions that the seed draws, and judge them."""
        steps, cases = await self.steps(meeting)
        dice = proof.dice("two preemptions", str(meeting))
        schedules = [with_two_preemptions(steps, dice) for _ in range(count)]
        return await self._judged(meeting, cases, schedules)

    async def _judged(
        self, meeting: Meeting, cases: list[Case], schedules: Sequence[Schedule]
    ) -> list[Case]:
        cases += [await self.run(meeting, schedule) for schedule in schedules]
        cases[0].wrong += await self.judge(cases)
        return cases

    async def shorten(self, case: Case) -> str:
        """Return the simplest schedule that fails like *case*, as SCHEDULE takes it."""

        async def fails(schedule: Schedule) -> bool:
            again = await self.run(case.meeting, schedule)
            return bool(await self.judge([again]) or again.wrong)

        return f"{case.meeting}: {await shortened(case.schedule, fails)}"

    async def describe(self, cases: Sequence[Case]) -> list[str]:
        """Return each wrong case with what was wrong, and how the first of them is repeated."""
        wrong = [case for case in cases if case.wrong]
        if not wrong:
            return []
        lines = [f"{case}: {case.wrong[0]}" for case in wrong]
        first = min(wrong, key=lambda case: case.schedule.preemptions)
        command = f"SCHEDULE='{await self.shorten(first)}' pytest tests/schedules"
        return [f"{command} repeats the simplest", *lines]


def act_of(operation: Any, at: Situation) -> Any:
    return lambda: operation(at)


async def _names_of(prepared: Prepared) -> list[str]:
    """Return the ids by which a violation may name the rows of this contract or collector."""
    rows = await engine.fetch(
        """
        select p.id, a.reference, r.id as reversal, c.id as money_case
          from payment p left join attempt a on a.payment = p.id
          left join reversal r on r.payment = p.id
          left join money_case c on c.payment = p.id
         where p.contract_number = any($1)
        """,
        [prepared.contract, second_contract(prepared)],
    )
    ids = {value for row in rows for value in dict(row).values() if value}
    return [*ids, prepared.contract, prepared.staff, prepared.bill]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many schedules ran, had a lock to wait for, had a refusal, and were wrong."""

    schedules: int
    blocked: int
    refused: int
    wrong: int

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Counts:
        return cls(
            schedules=len(cases),
            blocked=sum(case.ran.blocked > 0 for case in cases),
            refused=sum(
                any(isinstance(result, Refusal | Refused) for result in case.ran.results)
                for case in cases
            ),
            wrong=sum(bool(case.wrong) for case in cases),
        )

    def __str__(self) -> str:
        return (
            f"{self.schedules} schedules, {self.blocked} with a wait,"
            f" {self.refused} with a refusal, {self.wrong} violations"
        )
