"""Two people decide about a case: the first word is kept, the second carries it out, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, cases, orders, payments
from db import reversals as kept
from db.audit import AuditEvent
from db.transaction import transaction
from domain.case_decisions import check_named, rule
from domain.cases import PAYMENT_EFFECTS, Approval, Case, CaseDecision, CaseEffect, CaseStatus, Step
from domain.money import Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment
from domain.refusals import NotFound, check_amount, check_reason
from domain.reversals import ReversalKind
from domain.staff import Operation, check
from resolvers import refund_execution, reversals
from resolvers.audit import command
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import conclude
from resolvers.retries import retry_when_taken


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveCase:
    """`amount` is what came, in the minor unit that the gateway was asked in, where its own sum cannot be read."""

    case_id: str
    decision: CaseDecision
    reason: str
    amount: int | None = None


@command("resolveCase")
async def resolve(context: Context, asked: ResolveCase) -> Case:
    """
    Say what is to become of a case; the second person who says the same carries it out.

    Saying it again is no effect. What could not be carried out is refused to the first person already.
    Raises NotFound, InvalidInput, NotPermitted, AlreadyResolved, NotCovered, DecisionRefused, and what
    a reversal is refused by.
    """
    actor = check(context.actor, Operation.RESOLVE_CASE)
    reason = check_reason(asked.reason)
    if asked.amount is not None:
        check_amount(asked.amount)
    now = await context.clock()
    found = await cases.by_id(asked.case_id, now)
    if found is None:
        raise NotFound(what_vi="hồ sơ", what_en="case", id=asked.case_id)
    word = Approval(
        actor=actor.id, decision=asked.decision, reason=reason, at=now, amount=asked.amount
    )

    async def vote_once() -> tuple[Case, bool]:
        async with transaction():
            return await _record_vote(context, found, word, now)

    case, changed = await retry_when_taken(vote_once)
    if changed and case.payment_id is not None:
        payment = await payments.by_id(case.payment_id)
        assert payment is not None
        await announce(context, payment)
    return case


async def _record_vote(
    context: Context, found: Case, word: Approval, now: datetime
) -> tuple[Case, bool]:
    """Return the case after *word*, and whether its payment has changed; in the caller's transaction."""
    before = await payments.lock(found.payment_id) if found.payment_id else None
    if before is not None and before.order is not None:
        await orders.lock(before.order.id)  # whether another payment holds it stays as we find it
    case = await cases.lock(found.id, now)
    assert case is not None
    step = case.record_vote(word.actor, word.decision, word.amount)
    if step is Step.REPEAT:
        return case, False
    check_named(case, word.decision, word.amount)
    await cases.approve(case.id, word)
    if step is Step.FIRST:
        if before is not None and case.effect(word.decision) in PAYMENT_EFFECTS:
            # What can't be carried out is refused now.
            rule(before, case, word.decision, now, named=_named(before, word))
        after = replace(case, status=CaseStatus.AWAITING_SECOND, decision=word.decision)
    else:
        await _carry_out(context, case, before, word, now)
        after = replace(case, status=CaseStatus.RESOLVED, decision=word.decision, resolved_at=now)
    await cases.save(after)
    heard = await cases.by_id(case.id, now)
    assert heard is not None
    await _record(context, heard, before, step, now)
    return heard, step is Step.SECOND and before is not None


async def _carry_out(
    context: Context, case: Case, payment: Payment | None, word: Approval, now: datetime
) -> None:
    effect = case.effect(word.decision)
    match effect:
        case CaseEffect.APPROVE:
            assert case.reversal_id is not None
            await reversals.approve(context, case.reversal_id, approved_by=word.actor, now=now)
        case CaseEffect.REJECT:
            assert case.reversal_id is not None
            await reversals.reject(context, case.reversal_id, now=now)
        case CaseEffect.REFUND_DONE | CaseEffect.REFUND_FAILED:
            assert payment is not None
            assert case.reversal_id is not None
            paid_out = effect is CaseEffect.REFUND_DONE
            said = Evidence(
                source=EvidenceSource.FOUR_EYES,
                origin=f"case:{case.id}",
                result=GatewayResult.PAID if paid_out else GatewayResult.UNPAID,
            )
            reversal = await kept.lock(case.reversal_id)
            assert reversal is not None
            await refund_execution.concluded(context, payment, reversal, said, now)
        case CaseEffect.ACKNOWLEDGE:
            pass
        case _:
            assert payment is not None
            await _rule(context, case, payment, word, now)


async def _rule(
    context: Context, case: Case, payment: Payment, word: Approval, now: datetime
) -> None:
    said = Evidence(
        source=EvidenceSource.FOUR_EYES,
        origin=f"case:{case.id}",
        result=GatewayResult.DECIDED,
        decided=word.decision,
        money=_named(payment, word),
    )
    applied = await conclude(context, payment, said, now, reason=word.reason, case=case)
    refund = applied.decision.refund
    if refund is None:
        return
    first = case.first
    assert first is not None, "the second word follows on it"
    await reversals.opened(
        context,
        applied.payment,
        kind=ReversalKind.REFUND,
        amount=refund.money.amount,
        currency=refund.money.currency,
        reason=first.reason,
        source=refund.source,
        requested_by=first.actor,
        approved_by=word.actor,
        now=now,
    )


def _named(payment: Payment, word: Approval) -> Money | None:
    """Return the sum that *word* names, in the currency that the gateway was asked in."""
    if word.amount is None or payment.attempt is None:
        return None
    return Money(word.amount, payment.attempt.money.currency)


async def _record(
    context: Context, case: Case, before: Payment | None, step: Step, now: datetime
) -> None:
    """Write down each word with those before it; the second one is evidence."""
    after = await payments.by_id(before.id) if before else None
    await audit.record(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action="resolveCase",
            payment_id=case.payment_id,
            from_status=before.status if before else None,
            to_status=after.status if after else None,
            evidence=EvidenceSource.FOUR_EYES if step is Step.SECOND else None,
            source=f"case:{case.id}",
            request_id=context.request_id,
            details={
                "case": case.id,
                "kind": case.kind,
                "status": case.status,
                "decision": case.decision,
                "approvals": [
                    {"actor": word.actor, "decision": word.decision, "reason": word.reason}
                    | ({} if word.amount is None else {"amount": word.amount})
                    for word in case.approvals
                ],
            },
        )
    )
