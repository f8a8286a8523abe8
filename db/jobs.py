"""
Jobs, enqueued in the business transaction, and so committed or rolled back with it.

resolvers/jobs.py has their handlers; mobinet/worker.py runs and retries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from db.transaction import connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A call of the handler *name* in resolvers/jobs.py, delivered at least once."""

    name: str
    subject: str
    after: timedelta = field(default=timedelta(0))


async def enqueue(jobs: Sequence[Job]) -> None:
    """Add the jobs to the current transaction."""
    if not jobs:
        return
    await Queries(AsyncpgDriver(connection())).enqueue(
        [job.name for job in jobs],
        [orjson.dumps({"subject": job.subject}) for job in jobs],
        [0] * len(jobs),
        execute_after=[job.after for job in jobs],
    )


def subject(payload: bytes) -> str:
    """Return the subject in the payload of a queued job."""
    return orjson.loads(payload)["subject"]
