"""The audit log: rows are added in the business transaction, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import orjson

from db.engine import execute, fetch
from domain.payment_evidence import EvidenceSource
from domain.payment_history import Step


class AuditOutcome(StrEnum):
    DONE = "DONE"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One action of an actor, with its evidence. `details` must hold no secret."""

    at: datetime
    actor: str
    action: str
    outcome: AuditOutcome = AuditOutcome.DONE
    payment_id: str | None = None
    from_status: str | None = None
    to_status: str | None = None
    evidence: EvidenceSource | None = None
    source: str | None = None
    event_id: str | None = None
    request_id: str | None = None
    details: dict[str, object] = field(default_factory=dict[str, object])


# Its parameters are `columns`.
INSERT = """
insert into audit_event (at, actor, action, outcome, payment_id, from_status, to_status, evidence,
                         source, event_id, request_id, details)
select * from unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[])
"""


async def append(*events: AuditEvent) -> None:
    """Add the events in their order."""
    await execute(INSERT, *columns(events))


def columns(events: Sequence[AuditEvent]) -> tuple[list[object], ...]:
    """Return the parameters of `INSERT`."""
    return (
        [event.at for event in events],
        [event.actor for event in events],
        [event.action for event in events],
        [event.outcome for event in events],
        [event.payment_id for event in events],
        [event.from_status for event in events],
        [event.to_status for event in events],
        [event.evidence for event in events],
        [event.source for event in events],
        [event.event_id for event in events],
        [event.request_id for event in events],
        [orjson.dumps(event.details, default=str).decode() for event in events],
    )


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Step]]:
    """Return each payment's steps, in the order of the audit rows."""
    rows = await fetch(
        """
        select id, at, actor, action, payment_id, from_status, to_status, evidence, request_id
          from audit_event where payment_id = any($1) order by id
        """,
        payment_ids,
    )
    steps: dict[str, list[Step]] = {}
    for row in rows:
        step = Step(
            sequence=row["id"],
            at=row["at"],
            actor=row["actor"],
            action=row["action"],
            evidence=EvidenceSource(row["evidence"]) if row["evidence"] else None,
            from_status=row["from_status"],
            to_status=row["to_status"],
            request_id=row["request_id"],
        )
        steps.setdefault(row["payment_id"], []).append(step)
    return steps
