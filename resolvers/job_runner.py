"""
Runs jobs: claims what is due, runs it in lanes, and writes the results together.

Each name of a job has a lane with room of its own, so that a silent counterpart holds up its own
jobs alone. One loop claims and writes; a change of any payment wakes it, and a poll is the net.

What a dead worker held runs alone, one job at a time while nothing else runs here. So only the job
that kills its worker reaches MAX_DEATHS and becomes a dead letter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from db import jobs
from db.jobs import STALE_AFTER, ClaimedJob, Result
from domain.refusals import Refusal
from integrations.http.parsing import Rejected
from resolvers.context import Context
from resolvers.job_batches import BATCHES, Ends
from resolvers.jobs import HANDLERS, NotDelivered
from resolvers.payment_announcement import PAYMENTS

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GIVE_UP_AFTER = timedelta(days=8)  # a day after the last inquiry of domain/payment_inquiry.py
MAX_RETRY_DELAY = timedelta(minutes=10)
MAX_DEATHS = 3
BATCH_SIZE = 64
SINGLES_AT_ONCE = 16  # of each name
POLL_SECONDS = 0.25
GATHERING_SECONDS = 0.02  # after a hint, so that more jobs share a batch
HEARTBEAT_SECONDS = STALE_AFTER.total_seconds() / 3
TAKE_OVER_SECONDS = STALE_AFTER.total_seconds() / 6


@dataclass(slots=True)
class JobRunner:
    """The jobs of one worker. `run` ends after `stop` is set and what runs is finished."""

    context: Context
    id: UUID = field(default_factory=uuid4)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: dict[asyncio.Task[None], Sequence[ClaimedJob]] = field(
        default_factory=dict[asyncio.Task[None], Sequence[ClaimedJob]]
    )
    _results: list[Result] = field(default_factory=list[Result])
    _unused: list[ClaimedJob] = field(default_factory=list[ClaimedJob])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _next_take_over: float = 0.0

    async def run(self) -> None:
        helpers = [
            asyncio.create_task(self._hear_hints()),
            asyncio.create_task(self._wake_when_stopped()),
            asyncio.create_task(self._beat()),
        ]
        try:
            while not self.stop.is_set():
                await self.run_due()
                await self._wait()
            await self.finish()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)

    async def run_due(self) -> None:
        """Write the results so far, then start what is due, and what a dead worker has left."""
        await self._write_results()
        now = asyncio.get_running_loop().time()
        if now >= self._next_take_over and not await self._run_one_abandoned():
            self._next_take_over = now + TAKE_OVER_SECONDS
        if room := self._room():
            self.start(await jobs.claim(self.id, room))

    def start(self, claimed: Sequence[ClaimedJob]) -> None:
        """Start what this worker has claimed: batches of one name, and single jobs."""
        for batch in self._batches(claimed):
            many = batch[0].name in BATCHES
            self._start(batch, self._run_batch(batch) if many else self._run_alone(batch[0]))

    async def finish(self) -> None:
        """Wait until nothing runs, and write the results."""
        while self._running:
            await asyncio.wait(self._running)
        await self._write_results()

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────

    async def _wait(self) -> None:
        """Wait for a hint, the end of a run or the poll."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            if not self.stop.is_set():
                await asyncio.sleep(GATHERING_SECONDS)
        self._wake.clear()

    async def _hear_hints(self) -> None:
        async with self.context.hub.watch(PAYMENTS) as hints:
            async for _ in hints:
                self._wake.set()

    async def _wake_when_stopped(self) -> None:
        await self.stop.wait()
        self._wake.set()

    async def _beat(self) -> None:
        """Show that this worker lives, for as long as it holds jobs."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if running := [job for batch in self._running.values() for job in batch]:
                try:
                    await jobs.keep_alive(self.id, running)
                except Exception:
                    log.exception("heartbeat_failed")

    async def _write_results(self) -> None:
        results, self._results = self._results, []
        unused, self._unused = self._unused, []
        if results:
            await jobs.finish(self.id, results)
        if unused:
            await jobs.give_back(self.id, unused)

    # ── lanes ────────────────────────────────────────────────────────────────────────────────────

    def _room(self) -> dict[str, int]:
        """Return how many jobs of each name may start now: a batch at a time, or some singles."""
        running = [batch[0].name for batch in self._running.values()]
        room = {
            name: (0 if name in running else BATCH_SIZE)
            if name in BATCHES
            else SINGLES_AT_ONCE - running.count(name)
            for name in HANDLERS
        }
        return {name: free for name, free in room.items() if free > 0}

    def _batches(self, claimed: Sequence[ClaimedJob]) -> list[list[ClaimedJob]]:
        """Return the batches and single jobs; a batch takes one job of a payment."""
        batches: dict[str, dict[str, ClaimedJob]] = {}
        singles: list[list[ClaimedJob]] = []
        for job in claimed:
            if job.name not in BATCHES:
                singles.append([job])
            elif job.subject in (batch := batches.setdefault(job.name, {})):
                self._unused.append(job)
            else:
                batch[job.subject] = job
        return [*(list(batch.values()) for batch in batches.values()), *singles]

    def _start(self, batch: Sequence[ClaimedJob], run: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(run)
        self._running[task] = batch
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _run_batch(self, batch: Sequence[ClaimedJob]) -> None:
        """Run the batch; what it leaves out runs alone, one job after the other."""
        name = batch[0].name
        ends: Ends = {}
        try:
            ends = await BATCHES[name](self.context, [job.subject for job in batch])
        except Exception:
            log.exception("batch_failed", job=name, jobs=len(batch))
        for job in batch:
            if job.subject in ends:
                self._note(job, ends[job.subject])
            else:
                await self._run_alone(job)

    async def _run_alone(self, job: ClaimedJob) -> None:
        try:
            end = await HANDLERS[job.name](self.context, job.subject)
        except Exception as error:
            end = error
        self._note(job, end)

    async def _run_one_abandoned(self) -> bool:
        """Run one job of a dead worker while nothing else runs; return False if none is left."""
        if not await jobs.is_any_abandoned():
            return False
        await self.finish()
        if (job := await jobs.take_over(self.id)) is None:
            return False
        log.warning("job_taken_over", job=job.name, subject=job.subject, deaths=job.deaths)
        if job.deaths >= MAX_DEATHS:
            self._give_up(job, f"{job.deaths} workers died while they ran it alone")
        else:
            self._start([job], self._run_alone(job))
        await self.finish()
        return True

    # ── results ──────────────────────────────────────────────────────────────────────────────────

    def _note(self, job: ClaimedJob, end: timedelta | Exception | None) -> None:
        """Note how a run ended; a failed job is retried until GIVE_UP_AFTER."""
        if not isinstance(end, Exception):
            self._results.append(Result(job=job, again_after=end))
            return
        reason = f"{type(end).__name__}: {end}"
        if job.age > GIVE_UP_AFTER:
            self._give_up(job, reason, end)
            return
        delay = min(timedelta(seconds=2 ** min(job.attempts + 1, 12)), MAX_RETRY_DELAY)
        expected = isinstance(end, Refusal | NotDelivered | Rejected)
        log.warning(
            "job_failed",
            job=job.name,
            subject=job.subject,
            attempt=job.attempts,
            retry_in=str(delay),
            reason=str(end),
            exc_info=None if expected else end,
        )
        self._results.append(Result(job=job, again_after=delay, reason=reason))

    def _give_up(self, job: ClaimedJob, reason: str, error: Exception | None = None) -> None:
        log.error("job_given_up", job=job.name, subject=job.subject, reason=reason, exc_info=error)
        self._results.append(Result(job=job, is_dead=True, reason=reason))
