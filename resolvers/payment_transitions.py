"""
Transitions of a payment: each leaves an audit row, and a final payment also its signed record.

The row is written in the transaction that moves the payment. The hash of the record stands in the
row, so the record is part of the sealed chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from db import audit
from db.audit import AuditEvent
from domain.payment_evidence import Evidence
from domain.payments import Payment, PaymentStatus
from resolvers.context import Context
from resolvers.receipts import sign_record


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


async def record_transition(context: Context, transition: Transition) -> None:
    """Write the audit row of a transition after which the payment is still open, or was final."""
    assert not transition.makes_final, "a payment becomes final through `finalise` alone"
    await _append(context, transition, record_hash=None)


async def finalise(context: Context, transition: Transition) -> None:
    """Sign the record of a payment that becomes final, and write the audit row with its hash."""
    assert transition.makes_final, "a record is signed once, when the payment becomes final"
    record_hash = await sign_record(context, transition.after, transition.at)
    await _append(context, transition, record_hash=record_hash)


async def _append(context: Context, transition: Transition, *, record_hash: str | None) -> None:
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
    if record_hash is not None:
        details["record"] = record_hash
    await audit.append(
        AuditEvent(
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
    )
