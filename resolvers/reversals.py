"""
Reversals: voiding cash and refunding money; above a sum only with two people's approval.

`void` and `refund` are the clients' commands. `open_reversal`, `approve` and `reject` are for a
decision that people have made already, inside its transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from db import payments, reversals
from db.transaction import transaction
from domain.cases import Approval, CaseDecision, CaseKind
from domain.gateways import RefundingGateway
from domain.idempotency import check_key
from domain.ledger import Account
from domain.money import Currency, Money
from domain.payments import Payment
from domain.refund_fx import share_of
from domain.refusals import check_amount, check_reason
from domain.reversals import (
    SOURCES,
    RefundOf,
    Reversal,
    ReversalKind,
    ReversalStatus,
    check_refund,
    check_voidable,
    check_voider,
    decided_alone,
)
from domain.staff import Actor, Operation, Role, check
from resolvers import refund_execution
from resolvers.audit import audited
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.idempotency import CommandKey, claim, command_key, mark_answered, run_once
from resolvers.payment_announcement import announce
from resolvers.payments import visible
from resolvers.reversal_effects import Move, apply_effects

VOID, REFUND = "voidCashPayment", "refundPayment"
PAID = Account.CUSTOMER_RECEIVABLE  # where the money of a success stands


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalResult:
    """A reversal as a command leaves it. `replayed` is true where the key was used before."""

    payment: Payment
    reversal: Reversal
    replayed: bool = False


@audited(VOID)
async def void(
    context: Context, payment_id: str, *, reason: str, idempotency_key: str
) -> ReversalResult:
    """
    Void a cash payment whose cash is still with its collector; its bills are open again.

    Above the four-eyes sum it awaits a second person, and nothing changes before. Raises NotFound,
    NotReversible, NotPermitted, InvalidInput.
    """
    actor = check(context.actor, Operation.VOID)
    check_key(idempotency_key)
    request = _Request(payment_id=payment_id, amount=None, reason=check_reason(reason))
    key = command_key(actor, VOID, idempotency_key, request.facts)
    return await _reverse(context, actor, request, key)


@audited(REFUND)
async def refund(
    context: Context,
    payment_id: str,
    *,
    amount: int,
    reason: str,
    idempotency_key: str,
    of: RefundOf = RefundOf.PAID,
) -> ReversalResult:
    """
    Refund a success, or a part of it, by the way it came in; or the credit that came with it.

    Cash that was handed in and bank transfers are DONE at once: accounting pays them out. A gateway
    that does not answer leaves the reversal UNKNOWN until an inquiry. Raises NotFound,
    NotReversible, TooMuchToRefund, TooSmallToShare, InvalidInput.
    """
    actor = check(context.actor, Operation.REFUND)
    check_key(idempotency_key)
    check_amount(amount)
    request = _Request(
        payment_id=payment_id, amount=amount, reason=check_reason(reason), source=SOURCES[of]
    )
    key = command_key(actor, REFUND, idempotency_key, request.facts)
    return await _reverse(context, actor, request, key)


async def of_payments(context: Context, payment_ids: Sequence[str]) -> list[list[Reversal]]:
    """
    Return the reversals of each payment, which the actor may see, the oldest first.

    A merchant sees the office in place of the member of staff.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    found = await reversals.of_payments(payment_ids)
    groups = [found.get(payment_id, []) for payment_id in payment_ids]
    if actor.role is Role.MERCHANT:
        return [[reversal.without_staff_names() for reversal in group] for group in groups]
    return groups


# ── inside the transaction of the decision ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReversal:
    """
    What is to be reversed. `awaits_approval` leaves it to two people.

    `currency` is the payment's where it is None. Accounting pays out a currency that neither the
    payment nor its gateway has. `id` is set where the id is known before.
    """

    kind: ReversalKind
    amount: int
    reason: str
    source: Account
    requested_by: str
    approved_by: str | None = None
    awaits_approval: bool = False
    currency: Currency | None = None
    id: str | None = None


async def open_reversal(
    context: Context, payment: Payment, new: NewReversal, now: datetime
) -> Reversal:
    """
    Open a reversal in the transaction that locked *payment*; begin it unless it awaits approval.

    A void, and a refund that no gateway pays, is DONE with it; else it is PENDING and a job sends
    it. It saves the payment's next version: the caller reads it again, and announces it after the
    commit. The caller has checked that *source* holds as much; otherwise the database refuses the
    commit. Raises TooSmallToShare.
    """
    reversal = await _new_reversal(context, payment, new, now)
    if not new.awaits_approval:
        reversal = reversal.begun(now, approved_by=new.approved_by)
    await reversals.add(reversal)
    await apply_effects(context, payment, Move(before=None, after=reversal, at=now))
    if new.awaits_approval:
        await _open_approval(context, payment, reversal, now)
    return reversal


async def approve(
    context: Context, reversal_id: str, *, approved_by: str, now: datetime
) -> Reversal:
    """
    Begin a reversal that awaits approval, in a transaction that locked its payment.

    Repeating it has no effect. Raises NotReversible where the payment has changed meanwhile.
    """
    reversal, payment = await _locked_with_payment(reversal_id)
    if reversal.status is not ReversalStatus.AWAITING_APPROVAL:
        return reversal
    left = await reversals.remaining(payment.id, reversal.source, reversal.currency)
    left += reversal.amount  # it awaits approval itself
    if reversal.kind is ReversalKind.VOID:
        check_voidable(payment, (), remaining=left)
    else:
        check_refund(payment, reversal.amount, source=reversal.source, remaining=left)
    begun = reversal.begun(now, approved_by=approved_by)
    return await _save_move(context, payment, Move(before=reversal.status, after=begun, at=now))


async def reject(context: Context, reversal_id: str, *, now: datetime) -> Reversal:
    """End a reversal that awaits approval as FAILED, in a transaction that locked its payment."""
    reversal, payment = await _locked_with_payment(reversal_id)
    if reversal.status is not ReversalStatus.AWAITING_APPROVAL:
        return reversal
    rejected = reversal.rejected(now)
    return await _save_move(context, payment, Move(before=reversal.status, after=rejected, at=now))


async def _save_move(context: Context, payment: Payment, move: Move) -> Reversal:
    await reversals.save(move.after)
    await apply_effects(context, payment, move)
    return move.after


async def _locked_with_payment(reversal_id: str) -> tuple[Reversal, Payment]:
    reversal = await reversals.locked(reversal_id)
    return reversal, await payments.get(reversal.payment_id)


async def _new_reversal(
    context: Context, payment: Payment, new: NewReversal, now: datetime
) -> Reversal:
    currency = new.currency or payment.currency
    captured = payment.attempt.money if payment.attempt else payment.money
    gateway = _paying_gateway(context, payment, new.kind, currency, captured)
    share = None
    if gateway is not None and currency is not captured.currency:
        earlier = await reversals.of_payment(payment.id)
        share = share_of(payment, new.amount, captured=captured, earlier=earlier)
    return Reversal(
        id=new.id or context.ids.record("REV"),
        payment_id=payment.id,
        kind=new.kind,
        status=ReversalStatus.AWAITING_APPROVAL,
        amount=new.amount,
        currency=currency,
        source=new.source,
        reason=new.reason,
        requested_by=new.requested_by,
        reference=payment.gateway_reference,
        gateway=None if gateway is None else gateway.name,
        created_at=now,
        updated_at=now,
        share=share,
    )


def _paying_gateway(
    context: Context, payment: Payment, kind: ReversalKind, currency: Currency, captured: Money
) -> RefundingGateway | None:
    """Return the gateway that pays the refund, None where accounting does."""
    is_known_currency = currency in {payment.currency, captured.currency}
    if kind is not ReversalKind.REFUND or not is_known_currency:
        return None
    return context.gateways.refunding(payment.gateway)


async def _open_approval(
    context: Context, payment: Payment, reversal: Reversal, now: datetime
) -> None:
    """Open the case in which a second person decides; the requester has voted APPLY."""
    vote = Approval(
        actor=reversal.requested_by, decision=CaseDecision.APPLY, reason=reversal.reason, at=now
    )
    new_case = NewCase(
        kind=CaseKind.APPROVAL,
        payment=payment,
        amount=reversal.amount,
        reversal_id=reversal.id,
        about=f"{reversal.kind.lower()} {reversal.id}",
        first_vote=vote,
    )
    await open_case(context, new_case, now)


# ── the idempotent command ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A client's request: *amount* to refund, or None to void the whole payment."""

    payment_id: str
    amount: int | None
    reason: str
    source: Account = PAID

    @property
    def facts(self) -> list[object]:
        facts: list[object] = [self.payment_id, self.amount, self.reason]
        return facts if self.source is PAID else [*facts, self.source]


async def _reverse(
    context: Context, actor: Actor, request: _Request, key: CommandKey
) -> ReversalResult:
    async def open_new() -> Reversal:
        visible(await payments.by_id(request.payment_id), actor, request.payment_id)
        return await _open(context, actor, request, key)

    async def finish(reversal: Reversal) -> ReversalResult:
        opened = await _reversed(reversal.id)
        await announce(context, opened.payment)
        if reversal.status is not ReversalStatus.PENDING:
            return opened
        # It continues when the client disconnects: a refund that was sent is always concluded.
        await asyncio.shield(asyncio.ensure_future(_send(context, key, reversal)))
        return await _reversed(reversal.id)

    async def replay(reversal_id: str) -> ReversalResult:
        return replace(await _reversed(reversal_id), replayed=True)

    return await run_once(context, key, open_new=open_new, finish=finish, replay=replay)


async def _open(context: Context, actor: Actor, request: _Request, key: CommandKey) -> Reversal:
    """
    Open the reversal in one transaction; it is complete where no gateway has to pay it.

    Raises KeyTaken, NotReversible, NotPermitted, TooMuchToRefund, TooSmallToShare.
    """
    reversal_id = context.ids.record("REV")
    async with transaction():
        now = await claim(context, key, reversal_id, answered=False)
        payment = await payments.locked(request.payment_id)
        new = await _checked(context, actor, payment, request, now)
        reversal = await open_reversal(context, payment, replace(new, id=reversal_id), now)
        if reversal.status is not ReversalStatus.PENDING:  # the commit is the answer
            await mark_answered(context, key)
    return reversal


async def _checked(
    context: Context, actor: Actor, payment: Payment, request: _Request, now: datetime
) -> NewReversal:
    """Return the reversal to open. Raises the refusals of `void` and `refund`."""
    earlier = await reversals.of_payment(payment.id)
    left = await reversals.remaining(payment.id, request.source, payment.currency)
    if request.amount is None:
        kind, amount = ReversalKind.VOID, payment.amount
        check_voidable(payment, earlier, remaining=left)
        check_voider(payment, actor, now=now)
    else:
        kind, amount = ReversalKind.REFUND, request.amount
        check_refund(payment, amount, source=request.source, remaining=left)
    return NewReversal(
        kind=kind,
        amount=amount,
        reason=request.reason,
        source=request.source,
        requested_by=actor.id,
        awaits_approval=amount + decided_alone(earlier) > context.terms.four_eyes_above,
    )


async def _send(context: Context, key: CommandKey, reversal: Reversal) -> None:
    try:
        await refund_execution.send(context, reversal.id)
    finally:
        await mark_answered(context, key)


async def _reversed(reversal_id: str) -> ReversalResult:
    """Return a reversal and its payment as they are now."""
    reversal = await reversals.get(reversal_id)
    return ReversalResult(payment=await payments.get(reversal.payment_id), reversal=reversal)
