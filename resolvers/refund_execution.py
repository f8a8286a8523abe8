"""
Refunds through a gateway: send once, inquire until the outcome is known, apply each answer.

A refund is committed before its gateway is called, and a missing answer is UNKNOWN, as for a
payment. Evidence about a refund enters through `apply_evidence` alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from db import payments, reversals
from db.transaction import transaction
from domain.cases import CaseKind
from domain.gateways import GatewayUnavailable, RefundingGateway
from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Payment
from domain.refund_schedule import NextStep, Step, next_step
from domain.reversals import UNSETTLED, Reversal, ReversalStatus
from resolvers.attempts import attempt_of
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.payment_start import GATEWAY_TIMEOUT_SECONDS
from resolvers.reversal_effects import Move, apply_effects

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WAIT_FOR_TURN = timedelta(minutes=1)  # while another refund of the same attempt is under way


# ── evidence about a refund ──────────────────────────────────────────────────────────────────────


async def apply_evidence(context: Context, reversal_id: str, evidence: Evidence) -> Reversal:
    """Apply the domain's decision about *evidence* to a refund, and announce its payment."""
    payment_id = await reversals.payment_id_of(reversal_id)
    now = await context.clock()
    async with transaction():
        payment, before = await _locked(payment_id, reversal_id)
        after = await conclude(context, payment, before, evidence, now)
    if after is not before:
        await announce(context, await payments.get(payment_id))
    log.info(
        "refund",
        reversal=reversal_id,
        payment=payment_id,
        result=evidence.result,
        was=before.status,
        now=after.status,
    )
    return after


async def conclude(
    context: Context, payment: Payment, reversal: Reversal, evidence: Evidence, now: datetime
) -> Reversal:
    """
    Decide and write, in the transaction that locked both. The caller announces the payment.

    A DONE refund never changes. A FAILED refund is corrected only while its money is still there;
    otherwise people decide.
    """
    after = reversal.concluded(evidence, now)
    if reversal.status is ReversalStatus.FAILED and after is not reversal:
        left = await reversals.remaining(payment.id, reversal.source, reversal.currency)
        after = after if left >= reversal.amount else reversal
    if after is not reversal:
        await reversals.save(after)
        move = Move(before=reversal.status, after=after, at=now, evidence=evidence)
        await apply_effects(context, payment, move)
    elif evidence.result is GatewayResult.GAVE_UP and reversal.status in UNSETTLED:
        await _open_unknown(context, payment, reversal, now)
    return after


async def _open_unknown(
    context: Context, payment: Payment, reversal: Reversal, now: datetime
) -> None:
    """Open a case, once, about a refund whose outcome no inquiry finds."""
    kind = CaseKind.REFUND_UNKNOWN
    if await reversals.has_open_case(reversal.id, kind):
        return
    new_case = NewCase(
        kind=kind,
        payment=payment,
        amount=reversal.amount,
        reversal_id=reversal.id,
        about=f"refund {reversal.id}",
    )
    await open_case(context, new_case, now)


# ── sending and inquiring ────────────────────────────────────────────────────────────────────────


async def send(context: Context, reversal_id: str) -> Reversal | None:
    """
    Send the refund to its gateway, once; None where it was sent before or another is under way.

    Only one refund of an attempt is under way, so an answer about the latest one means this one.
    """
    now = await context.clock()
    payment_id = await reversals.payment_id_of(reversal_id)
    async with transaction():
        payment, reversal = await _locked(payment_id, reversal_id)
        others = [
            other for other in await reversals.of_payment(payment_id) if other.id != reversal_id
        ]
        is_unsent = reversal.status is ReversalStatus.PENDING and reversal.sent_at is None
        if not is_unsent or any(_is_under_way(other) for other in others):
            return None
        reversal = replace(reversal, sent_at=now, updated_at=now)
        await reversals.save(reversal)
        whole = await _is_whole(reversal, others)
    return await apply_evidence(
        context, reversal_id, await _refund(context, payment, reversal, whole, now)
    )


def _is_under_way(reversal: Reversal) -> bool:
    return reversal.status in UNSETTLED and reversal.sent_at is not None


async def _is_whole(reversal: Reversal, others: Sequence[Reversal]) -> bool:
    """Return whether the refund gives back all that the gateway captured."""
    was_refunded = any(
        other.gateway is not None and other.status is ReversalStatus.DONE for other in others
    )
    return not was_refunded and reversal.amount == await reversals.captured(reversal.payment_id)


async def _refund(
    context: Context, payment: Payment, reversal: Reversal, whole: bool, now: datetime
) -> Evidence:
    gateway = _gateway(context, reversal)
    origin = f"{gateway.name.lower()}:refund"
    try:
        async with asyncio.timeout(GATEWAY_TIMEOUT_SECONDS):
            return await gateway.refund(attempt_of(payment), reversal, whole=whole, now=now)
    except GatewayUnavailable:  # the breaker is open: nothing was sent
        return Evidence(source=None, origin=origin, result=GatewayResult.NOT_CONNECTED)
    except TimeoutError:
        return Evidence(source=None, origin=origin, result=GatewayResult.UNKNOWN)


async def follow_up(context: Context, reversal_id: str) -> datetime | None:
    """
    Send or inquire if it is due; return the time of the next step, None if none is left.

    It may be called at any time: nothing happens before it is due.
    """
    reversal = await reversals.get(reversal_id)
    step = _next(context, reversal)
    now = await context.clock()
    if step is None:
        await _give_up(context, reversal)
        return None
    if step.at > now:
        return step.at
    if step.step is Step.SEND:
        if await send(context, reversal_id) is None:
            return now + WAIT_FOR_TURN
    else:
        if reversal.status is ReversalStatus.PENDING:  # the process that sent it has died
            no_answer = Evidence(source=None, origin="no answer", result=GatewayResult.UNKNOWN)
            await apply_evidence(context, reversal_id, no_answer)
        await _inquire(context, reversal_id)
    after = await reversals.get(reversal_id)
    following = _next(context, after)
    if following is None:
        await _give_up(context, after)
        return None
    return following.at


async def _inquire(context: Context, reversal_id: str) -> None:
    """Inquire and apply the answer: one inquiry at a time, within the gateway's quota."""
    now = await context.clock()
    payment_id = await reversals.payment_id_of(reversal_id)
    async with transaction():
        payment, reversal = await _locked(payment_id, reversal_id)
        gateway = _gateway(context, reversal)
        if reversal.status is not ReversalStatus.UNKNOWN or _is_too_soon(reversal, gateway, now):
            return
        reversal = replace(reversal, inquiries=reversal.inquiries + 1, inquired_at=now)
        await reversals.save(reversal)
        others = await reversals.of_payment(payment_id)
    known = {other.gateway_id for other in others if other.id != reversal_id and other.gateway_id}
    evidence = await gateway.inquire_refund(attempt_of(payment), reversal, known=known, now=now)
    await apply_evidence(context, reversal_id, evidence)


def _is_too_soon(reversal: Reversal, gateway: RefundingGateway, now: datetime) -> bool:
    """Return whether the gateway was inquired so recently that it would refuse to answer."""
    last = reversal.inquired_at
    if last is None or last <= (reversal.sent_at or now):
        return False
    return now < last + timedelta(seconds=gateway.inquiry_interval)


async def _give_up(context: Context, reversal: Reversal) -> None:
    """Leave an unknown outcome to people after the last inquiry; an unsent refund has failed."""
    if reversal.status not in UNSETTLED:
        return
    was_sent = reversal.sent_at is not None
    result = GatewayResult.GAVE_UP if was_sent else GatewayResult.UNPAID
    origin = "no answer" if was_sent else "never sent"
    await apply_evidence(context, reversal.id, Evidence(source=None, origin=origin, result=result))


def _next(context: Context, reversal: Reversal) -> NextStep | None:
    if reversal.gateway is None:
        return None
    gateway = _gateway(context, reversal)
    return next_step(reversal, quota=timedelta(seconds=gateway.inquiry_interval))


def _gateway(context: Context, reversal: Reversal) -> RefundingGateway:
    gateway = context.gateways.refunding(reversal.gateway)
    assert gateway is not None, "a refund names a gateway that was configured when it was opened"
    return gateway


async def _locked(payment_id: str, reversal_id: str) -> tuple[Payment, Reversal]:
    """Lock both, the payment first, as everywhere: two transactions then cannot deadlock."""
    payment = await payments.locked(payment_id)
    return payment, await reversals.locked(reversal_id)
