"""Every command leaves a row, the refused and the failed too; a done one writes it in its own transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from db import audit
from db.audit import AuditEvent, AuditOutcome
from domain.payment_evidence import Evidence
from domain.payments import Payment, PaymentStatus
from domain.refusals import Refusal, Refused
from domain.staff import Forbidden, TooManyTries, Unauthenticated
from resolvers import receipts
from resolvers.context import Context

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Context, P], Awaitable[T]]


def command(action: str, *, who: str | None = None) -> Callable[[Operation[P, T]], Operation[P, T]]:
    """
    Write down a command that ends in a refusal, a lack of permission or a fault, and let it rise.

    The row is all that such a command leaves behind. *who* names the argument that says who
    asks, where no token does.
    """

    def asker(given: Mapping[str, object]) -> str | None:
        return None if who is None else str(given.get(who, ""))[:64].replace("\0", "")

    def decorate(operation: Operation[P, T]) -> Operation[P, T]:
        @wraps(operation)
        async def audited(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await operation(context, *args, **kwargs)
            except (Unauthenticated, TooManyTries):
                raise  # nobody did nothing: there is no one to name, and strangers may come in crowds
            except (Refused, Refusal, Forbidden) as no:
                await _write(context, action, AuditOutcome.REFUSED, _codes(no), asker(kwargs))
                raise
            except Exception as fault:
                reason = type(fault).__name__
                await _write(context, action, AuditOutcome.FAILED, reason, asker(kwargs))
                raise

        return audited

    return decorate


async def record(
    context: Context,
    action: str,
    before: PaymentStatus | None,
    after: Payment,
    now: datetime,
    evidence: Evidence | None = None,
    reason: str | None = None,
) -> None:
    """
    Write down a payment's move, in the transaction that moves it.

    A move into a final state is sworn to here, so that none can be made without its record.
    """
    details: dict[str, object] = {
        "version": after.version,
        "amount": after.amount,
        "result": evidence.result if evidence else None,
    }
    if evidence is not None and evidence.unreadable is not None:
        details["unreadable"] = evidence.unreadable
    if reason:
        details["reason"] = reason
    if after.is_final and before is not after.status:
        details["record"] = await receipts.keep(context, after, now)
    await audit.record(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action=action,
            payment_id=after.id,
            from_status=before,
            to_status=after.status,
            evidence=evidence.source if evidence else None,
            source=evidence.origin if evidence else None,
            event_id=evidence.event_id if evidence else None,
            request_id=context.request_id,
            details=details,
        )
    )


async def _write(
    context: Context, action: str, outcome: AuditOutcome, why: str, who: str | None
) -> None:
    await audit.record(
        AuditEvent(
            at=await context.clock(),
            actor=context.actor_id,
            action=action,
            outcome=outcome,
            request_id=context.request_id,
            details={"why": why, "who": who},
        )
    )


def _codes(no: Exception) -> str:
    match no:
        case Refused(refusals=refusals):
            return ",".join(refusal.code for refusal in refusals)
        case Refusal(code=code):
            return code
        case _:
            return "FORBIDDEN"
