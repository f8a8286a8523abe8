"""
Transitions of a payment: each leaves an audit row, and a final payment also its signed record.

They are written in the transaction that moves the payment. The hash of the record stands in the
row, so the record is part of the sealed chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db import payment_transitions
from db.audit import AuditEvent
from db.jobs import Job
from domain.payment_evidence import Evidence
from domain.payments import Payment, PaymentStatus
from domain.receipts import Record
from resolvers.context import Context
from resolvers.receipts import sign


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move of a payment; `before` is None for a new one, `reason` a person's for ending it."""

    action: str
    before: PaymentStatus | None
    after: Payment
    at: datetime
    evidence: Evidence | None = None
    reason: str | None = None

    @property
    def makes_final(self) -> bool:
        return self.after.is_final and self.before is not self.after.status


async def record_transitions(
    context: Context, *transitions: Transition, new_jobs: Sequence[Job] = ()
) -> None:
    """
    Write the audit rows of a payment's transitions, in their order, and enqueue the jobs.

    A payment that becomes final gets its signed record too; it does so at most once at a time.
    """
    final = [transition for transition in transitions if transition.makes_final]
    assert len(final) <= 1, "a record is signed once, when the payment becomes final"
    record = sign(context, final[0].after, final[0].at) if final else None
    events = [
        _event(context, transition, record if transition.makes_final else None)
        for transition in transitions
    ]
    await payment_transitions.add(events, record=record, new_jobs=new_jobs)


def _event(context: Context, transition: Transition, record: Record | None) -> AuditEvent:
    after, evidence = transition.after, transition.evidence
    details: dict[str, object] = {
        "version": after.version,
        "amount": after.amount,
        "result": evidence.result if evidence else None,
    }
    if evidence is not None and evidence.unreadable is not None:
        details["unreadable"] = evidence.unreadable
    if transition.reason:
        details["reason"] = transition.reason
    if record is not None:
        details["record"] = hashlib.sha256(record.payload.encode()).hexdigest()
    return AuditEvent(
        at=transition.at,
        actor=context.actor_id,
        action=transition.action,
        payment_id=after.id,
        from_status=transition.before,
        to_status=after.status,
        evidence=evidence.source if evidence else None,
        source=evidence.origin if evidence else None,
        event_id=evidence.event_id if evidence else None,
        request_id=context.request_id,
        details=details,
    )
