"""
Reversals: voiding cash, giving money back; above a sum only by two people.

`void` and `refund` are what clients ask for. `opened`, `approve` and `reject` are the same for whoever
has decided it already, inside a transaction of theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from db import payments, reversals
from db.transaction import transaction
from domain.cases import Approval, CaseDecision, CaseKind
from domain.idempotency import check_key
from domain.ledger import Account
from domain.money import Currency
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
from resolvers.audit import command
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.idempotency import CommandKey, claim, command_key, mark_answered, run_once
from resolvers.payment_announcement import announce
from resolvers.payments import visible
from resolvers.refund_execution import carry_out

VOID, REFUND = "voidCashPayment", "refundPayment"
PAID = Account.CUSTOMER_RECEIVABLE  # where the money of a success stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """`replayed` says that the key was used before: this is what became of the first request."""

    payment: Payment
    reversal: Reversal
    replayed: bool = False


@command(VOID)
async def void(context: Context, payment_id: str, *, reason: str, idempotency_key: str) -> Reversed:
    """
    Undo a cash payment whose money is still with its collector; its bills are open again.

    Above the sum for two it waits for a second person, and nothing changes before. Raises NotFound,
    NotReversible, NotPermitted, InvalidInput.
    """
    actor = check(context.actor, Operation.VOID)
    check_key(idempotency_key)
    request = _Request(payment_id=payment_id, amount=None, reason=check_reason(reason))
    key = command_key(actor, VOID, idempotency_key, request.facts)
    return await _reverse(context, actor, request, key)


@command(REFUND)
async def refund(
    context: Context,
    payment_id: str,
    *,
    amount: int,
    reason: str,
    idempotency_key: str,
    of: RefundOf = RefundOf.PAID,
) -> Reversed:
    """
    Give back a success, or a part of it, by the way it came; or what the customer was credited with it.

    Cash that was handed in and bank transfers are DONE when it is decided: accounting pays them out. A
    gateway that stays silent leaves the reversal UNKNOWN, and is asked. Raises NotFound, NotReversible,
    TooMuchToRefund, TooSmallToShare, InvalidInput.
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
    Return the reversals of each payment, which the asker was shown, the oldest first.

    A merchant is told that the office did it, not who of us.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    found = await reversals.of_payments(payment_ids)
    stranger = actor.role is Role.MERCHANT
    return [
        [item.by_the_office() if stranger else item for item in found.get(payment_id, [])]
        for payment_id in payment_ids
    ]


# ── for whoever decides, inside their transaction ────────────────────────────────────────────────


async def opened(
    context: Context,
    payment: Payment,
    *,
    kind: ReversalKind,
    amount: int,
    reason: str,
    source: Account,
    requested_by: str,
    approved_by: str | None = None,
    awaiting: bool = False,
    now: datetime,
    reversal_id: str | None = None,
    currency: Currency | None = None,
) -> Reversal:
    """
    Open a reversal in the transaction that locked *payment*, and carry it out unless it is `awaiting`.

    A void, and what no gateway pays out, is DONE with it; else it is PENDING, and a job sends it. It
    saves the next version of *payment*: read it again, and announce it after the commit. That there
    is as much in *source* the caller has checked; the database refuses the commit otherwise. Of money in
    a `currency` that neither the payment nor its gateway was asked in, accounting pays out. Raises
    TooSmallToShare.
    """
    currency = currency or payment.currency
    captured = payment.attempt.money if payment.attempt else payment.money
    by_gateway = kind is ReversalKind.REFUND and currency in {payment.currency, captured.currency}
    pays = context.gateways.refunding(payment.gateway) if by_gateway else None
    share = None
    if pays is not None and currency is not captured.currency:
        earlier_ones = await reversals.of_payment(payment.id)
        share = share_of(payment, amount, captured=captured, earlier=earlier_ones)
    reversal = Reversal(
        id=reversal_id or context.ids.record("REV"),
        payment_id=payment.id,
        kind=kind,
        status=ReversalStatus.AWAITING_APPROVAL,
        amount=amount,
        currency=currency,
        source=source,
        reason=reason,
        requested_by=requested_by,
        reference=payment.gateway_reference,
        gateway=None if pays is None else pays.name,
        created_at=now,
        updated_at=now,
        share=share,
    )
    if not awaiting:
        reversal = reversal.begun(now, approved_by=approved_by)
    await reversals.add(reversal)
    await carry_out(context, payment, None, reversal, now)
    if awaiting:
        asked = Approval(actor=requested_by, decision=CaseDecision.APPLY, reason=reason, at=now)
        await open_case(
            context,
            CaseKind.APPROVAL,
            now,
            payment=payment,
            amount=amount,
            reversal_id=reversal.id,
            about=f"{kind.lower()} {reversal.id}",
            asked=asked,
        )
    return reversal


async def approve(
    context: Context, reversal_id: str, *, approved_by: str, now: datetime
) -> Reversal:
    """
    Carry out what awaits approval, in a transaction that locked its payment; the rest as `opened`.

    Once more is once. Raises NotReversible where the payment has moved on meanwhile.
    """
    reversal, payment = await _waiting(reversal_id)
    if reversal.status is not ReversalStatus.AWAITING_APPROVAL:
        return reversal
    left = await reversals.left(payment.id, reversal.source, reversal.currency) + reversal.amount
    if reversal.kind is ReversalKind.VOID:
        check_voidable(payment, (), left=left)
    else:
        check_refund(payment, reversal.amount, source=reversal.source, left=left)
    after = reversal.begun(now, approved_by=approved_by)
    await reversals.save(after)
    await carry_out(context, payment, reversal.status, after, now)
    return after


async def reject(context: Context, reversal_id: str, *, now: datetime) -> Reversal:
    """Let what awaits approval come to nothing, in a transaction that locked its payment."""
    reversal, payment = await _waiting(reversal_id)
    if reversal.status is not ReversalStatus.AWAITING_APPROVAL:
        return reversal
    after = reversal.rejected(now)
    await reversals.save(after)
    await carry_out(context, payment, reversal.status, after, now)
    return after


async def _waiting(reversal_id: str) -> tuple[Reversal, Payment]:
    reversal = await reversals.lock(reversal_id)
    assert reversal is not None, "a case names it"
    payment = await payments.by_id(reversal.payment_id)
    assert payment is not None
    return reversal, payment


# ── the idempotent command ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What a client wants reversed: a part to refund, or the whole to void where *amount* is None."""

    payment_id: str
    amount: int | None
    reason: str
    source: Account = PAID

    @property
    def facts(self) -> list[object]:
        facts: list[object] = [self.payment_id, self.amount, self.reason]
        return facts if self.source is PAID else [*facts, self.source]


async def _reverse(context: Context, actor: Actor, request: _Request, key: CommandKey) -> Reversed:
    async def open_new() -> Reversal:
        visible(await payments.by_id(request.payment_id), actor, request.payment_id)
        return await _open(context, actor, request, key)

    async def finish(reversal: Reversal) -> Reversed:
        opened = await _reversed(reversal.id)
        await announce(context, opened.payment)
        if reversal.status is not ReversalStatus.PENDING:
            return opened
        # It goes on when the client disconnects: a refund that was sent is always concluded.
        await asyncio.shield(asyncio.ensure_future(_send(context, key, reversal)))
        return await _reversed(reversal.id)

    async def replay(reversal_id: str) -> Reversed:
        return replace(await _reversed(reversal_id), replayed=True)

    return await run_once(context, key, open_new=open_new, finish=finish, replay=replay)


async def _open(context: Context, actor: Actor, request: _Request, key: CommandKey) -> Reversal:
    """
    Open the reversal in one transaction; it is complete where no gateway has to pay it.

    Raises KeyTaken, NotReversible, NotPermitted, TooMuchToRefund, TooSmallToShare.
    """
    now = await context.clock()
    reversal_id = context.ids.record("REV")
    async with transaction():
        await claim(context, key, reversal_id, now, answered=False)
        payment = await payments.locked(request.payment_id)
        earlier_ones = await reversals.of_payment(payment.id)
        left = await reversals.left(payment.id, request.source, payment.currency)
        if request.amount is None:
            kind, amount = ReversalKind.VOID, payment.amount
            check_voidable(payment, earlier_ones, left=left)
            check_voider(payment, actor, now=now)
        else:
            kind, amount = ReversalKind.REFUND, request.amount
            check_refund(payment, amount, source=request.source, left=left)
        reversal = await opened(
            context,
            payment,
            kind=kind,
            amount=amount,
            reason=request.reason,
            source=request.source,
            requested_by=actor.id,
            awaiting=amount + decided_alone(earlier_ones) > context.terms.four_eyes_above,
            now=now,
            reversal_id=reversal_id,
        )
        if reversal.status is not ReversalStatus.PENDING:  # the commit is the answer
            await mark_answered(key, now)
    return reversal


async def _send(context: Context, key: CommandKey, reversal: Reversal) -> None:
    try:
        await refund_execution.send(context, reversal.id)
    finally:
        await mark_answered(key, await context.clock())


async def _reversed(reversal_id: str) -> Reversed:
    """Return a reversal and its payment as they are now."""
    reversal = await reversals.get(reversal_id)
    return Reversed(payment=await payments.get(reversal.payment_id), reversal=reversal)
