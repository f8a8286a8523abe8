"""Two people decide about a case: the first vote waits, the second one takes effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, cases, orders, payments
from db import reversals as stored_reversals
from db.audit import AuditEvent
from db.transaction import transaction
from domain.case_decisions import check_named, decide_case
from domain.cases import PAYMENT_EFFECTS, Approval, Case, CaseDecision, CaseEffect, CaseStatus, Step
from domain.money import Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment
from domain.refusals import NotFound, check_amount, check_reason
from domain.reversals import ReversalKind
from domain.sentences import Noun
from domain.staff import Operation, check
from resolvers import refund_execution, reversals
from resolvers.audit import audited
from resolvers.context import Context
from resolvers.lost_races import retry_when_taken
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import Ending, conclude
from resolvers.reversals import NewReversal, open_reversal
from resolvers.sessions import require_open


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveCase:
    """
    One person's vote on a case.

    `amount` is the sum that arrived, if the gateway's own is unreadable; it is in the minor unit of
    the currency of the attempt.
    """

    case_id: str
    decision: CaseDecision
    reason: str
    amount: int | None = None


@audited("resolveCase")
async def resolve(context: Context, request: ResolveCase) -> Case:
    """
    Record a vote on a case; the second person's equal vote takes effect, in one transaction.

    Repeating a vote has no effect. A decision that is impossible is refused to the first person
    already. Raises NotFound, InvalidInput, NotPermitted, AlreadyResolved, NotCovered,
    DecisionRefused, the refusals of a reversal, and TakenMeanwhile past the bound of tries.
    """
    actor = check(context.actor, Operation.RESOLVE_CASE)
    reason = check_reason(request.reason)
    if request.amount is not None:
        check_amount(request.amount)
    now = await context.clock()
    found = await cases.by_id(request.case_id, now)
    if found is None:
        raise NotFound.of(Noun.CASE, id=request.case_id)
    vote = Approval(
        actor=actor.id, decision=request.decision, reason=reason, at=now, amount=request.amount
    )

    async def vote_once() -> tuple[Case, bool]:
        async with transaction():
            await require_open(context)
            return await _record_vote(context, found, vote, now)

    case, is_payment_changed = await retry_when_taken(vote_once)
    if is_payment_changed and case.payment_id is not None:
        await announce(context, await payments.get(case.payment_id))
    return case


async def _record_vote(
    context: Context, found: Case, vote: Approval, now: datetime
) -> tuple[Case, bool]:
    """
    Return the case after *vote*, and whether its payment has changed.

    It runs in the caller's transaction, and locks the payment before its order and the case.
    """
    payment = await payments.lock(found.payment_id) if found.payment_id else None
    if payment is not None and payment.order is not None:
        await orders.lock(payment.order.id)  # no other payment can take the order meanwhile
    case = await cases.locked(found.id, now)
    step = case.step_of_vote(vote.actor, vote.decision, vote.amount)
    if step is Step.REPEAT:
        return case, False
    check_named(case, vote.decision, vote.amount)
    await cases.add_approval(case.id, vote)
    if step is Step.FIRST:
        _check_possible(case, payment, vote, now)
        changed = replace(case, status=CaseStatus.AWAITING_SECOND, decision=vote.decision)
    else:
        await _apply_decision(context, case, payment, vote, now)
        changed = replace(case, status=CaseStatus.RESOLVED, decision=vote.decision, resolved_at=now)
    await cases.save(changed)
    after = await cases.get(case.id, now)
    await _audit(context, after, payment, step, now)
    return after, step is Step.SECOND and payment is not None


def _check_possible(case: Case, payment: Payment | None, vote: Approval, now: datetime) -> None:
    """Raise the refusal that the decision would meet at the second vote."""
    if payment is not None and case.effect(vote.decision) in PAYMENT_EFFECTS:
        decide_case(payment, case, vote.decision, now, named=_named_sum(payment, vote))


async def _apply_decision(
    context: Context, case: Case, payment: Payment | None, vote: Approval, now: datetime
) -> None:
    """Do what two people have decided: to the case's reversal, or to its payment."""
    effect = case.effect(vote.decision)
    match effect:
        case CaseEffect.APPROVE:
            reversal_id = _reversal_id(case)
            await reversals.approve(context, reversal_id, approved_by=vote.actor, now=now)
        case CaseEffect.REJECT:
            await reversals.reject(context, _reversal_id(case), now=now)
        case CaseEffect.REFUND_DONE:
            await _conclude_refund(context, case, payment, GatewayResult.PAID, now)
        case CaseEffect.REFUND_FAILED:
            await _conclude_refund(context, case, payment, GatewayResult.UNPAID, now)
        case CaseEffect.ACKNOWLEDGE:
            pass
        case _:
            await _decide_payment(context, case, payment, vote, now)


async def _conclude_refund(
    context: Context, case: Case, payment: Payment | None, result: GatewayResult, now: datetime
) -> None:
    """Apply what two people know of a refund's outcome."""
    assert payment is not None, "a case about a refund names its payment"
    reversal = await stored_reversals.locked(_reversal_id(case))
    evidence = Evidence(source=EvidenceSource.FOUR_EYES, origin=f"case:{case.id}", result=result)
    await refund_execution.conclude(context, payment, reversal, evidence, now)


async def _decide_payment(
    context: Context, case: Case, payment: Payment | None, vote: Approval, now: datetime
) -> None:
    """Apply the decision as evidence about the payment, and open the refund that it calls for."""
    assert payment is not None, "a decision that moves a payment's money names the payment"
    evidence = Evidence(
        source=EvidenceSource.FOUR_EYES,
        origin=f"case:{case.id}",
        result=GatewayResult.DECIDED,
        decided=vote.decision,
        money=_named_sum(payment, vote),
    )
    ending = Ending(reason=vote.reason)
    applied = await conclude(context, payment, evidence, now, ending=ending, case=case)
    refund = applied.decision.refund
    if refund is None:
        return
    first = case.first
    assert first is not None, "the second vote follows a first one"
    new = NewReversal(
        kind=ReversalKind.REFUND,
        amount=refund.money.amount,
        currency=refund.money.currency,
        reason=first.reason,
        source=refund.source,
        requested_by=first.actor,
        approved_by=vote.actor,
    )
    await open_reversal(context, applied.payment, new, now)


def _named_sum(payment: Payment, vote: Approval) -> Money | None:
    """Return the sum that *vote* names, in the currency of the attempt."""
    if vote.amount is None or payment.attempt is None:
        return None
    return Money(vote.amount, payment.attempt.money.currency)


def _reversal_id(case: Case) -> str:
    assert case.reversal_id is not None, "a case of this kind names its reversal"
    return case.reversal_id


async def _audit(
    context: Context, case: Case, before: Payment | None, step: Step, now: datetime
) -> None:
    """Write each vote with those before it; the second one is evidence."""
    after = await payments.get(before.id) if before else None
    await audit.append(
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
                "approvals": [_vote_details(vote) for vote in case.approvals],
            },
        )
    )


def _vote_details(vote: Approval) -> dict[str, object]:
    details: dict[str, object] = {
        "actor": vote.actor,
        "decision": vote.decision,
        "reason": vote.reason,
    }
    return details if vote.amount is None else details | {"amount": vote.amount}
