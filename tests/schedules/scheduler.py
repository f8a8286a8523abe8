"""
Runs two or three operations on real PostgreSQL, one step at a time, as a schedule says.

Whether a statement waits for another operation is asked of `pg_blocking_pids`: an operation that
waits for a lock of another is blocked, and one without an answer is merely slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from db import engine
from tests.schedules.schedule import MANY, Schedule
from tests.schedules.seam import Lane, Work, held_steps

STUCK_SECONDS = 60  # a limit for the test itself: nothing is decided by it

BLOCKED = "select pid from unnest($1::int[]) as pid where pg_blocking_pids(pid) && $2::int[]"


@dataclass(frozen=True, slots=True)
class Ran:
    """The operations' results or exceptions, their numbers of steps, and all steps in order."""

    results: list[object]
    steps: dict[str, int]
    trace: list[str]
    blocked: int  # how often an operation was found waiting for a lock of another


class Scheduler:
    def __init__(self, watcher: Any, acts: Sequence[Work], schedule: Schedule) -> None:
        self._watcher = watcher
        self._changed = asyncio.Event()
        self._lanes = {
            name: Lane(name, act, self._changed) for name, act in zip("abc", acts, strict=False)
        }
        self._turns = list(schedule.turns)
        self._trace: list[str] = []
        self._blocked: set[str] = set()
        self._times_blocked = 0

    async def run(self) -> Ran:
        """Run all operations to their ends. Raises TimeoutError with the steps so far."""
        lanes = list(self._lanes.values())
        with held_steps():
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    for lane in lanes:
                        lane.start()
                    await self._settle()
                    while not all(lane.done for lane in lanes):
                        self._choose()
                        await self._settle()
            except TimeoutError:
                raise TimeoutError("stuck after " + "; ".join(self._trace)) from None
            finally:
                for lane in lanes:
                    await lane.stop()
        return Ran(
            results=[await lane.result() for lane in lanes],
            steps={lane.name: len(lane.steps) for lane in lanes},
            trace=self._trace,
            blocked=self._times_blocked,
        )

    def _choose(self) -> None:
        """Let the operation whose turn it is take one step."""
        while self._turns:
            name, steps = self._turns[0]
            lane = self._lanes[name]
            if steps > 0 and lane.held:
                self._turns[0] = (name, steps if steps >= MANY else steps - 1)
                return self._go(lane)
            if len(self._turns) == 1 and steps >= MANY and not lane.done:
                break  # it waits for a lock, and continues as soon as it has it
            del self._turns[0]
        return self._go(next(lane for lane in self._lanes.values() if lane.held))

    def _go(self, lane: Lane) -> None:
        lane.go()
        self._trace.append(f"{lane.name}: {lane.steps[-1]}")

    async def _settle(self) -> None:
        """Wait until each operation is done, stands before a step, or waits for another's lock."""
        while True:
            self._changed.clear()
            moving = [lane for lane in self._lanes.values() if not (lane.done or lane.held)]
            blocked = await self._waiting_for_others(moving)
            if self._changed.is_set():
                continue
            if {lane.name for lane in moving} == blocked:
                self._times_blocked += len(blocked - self._blocked)
                self._blocked = blocked
                if not moving or any(lane.held for lane in self._lanes.values()):
                    return
                await self._changed.wait()  # a deadlock, which PostgreSQL ends
            elif not any(lane.running for lane in moving):
                await self._changed.wait()

    async def _waiting_for_others(self, moving: Sequence[Lane]) -> set[str]:
        """Return the names of those that wait for a lock that another operation holds."""
        found: set[str] = set()
        for lane in moving:
            others = {
                pid for other in self._lanes.values() if other is not lane for pid in other.sessions
            } - lane.sessions
            if lane.running and await self._watcher.fetch(BLOCKED, lane.running, list(others)):
                found.add(lane.name)
        return found


async def run_schedule(acts: Sequence[Work], schedule: Schedule) -> Ran:
    """Run the acts, named a, b and c, as *schedule* says."""
    watcher = await engine.own_connection()
    try:
        return await Scheduler(watcher, acts, schedule).run()
    finally:
        await watcher.close()
