"""Cash on its way from the hands of a member of staff to the office: submitted, then counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from db import audit, hand_ins, idempotency, ledger, limits
from db.audit import AuditEvent
from db.transaction import transaction
from domain.calendar import business_date
from domain.cases import CaseKind
from domain.hand_ins import (
    HandIn,
    HandInStatus,
    SubmitHandIn,
    check_counted,
    counted,
    note_of,
    nothing_held,
)
from domain.idempotency import IdempotencyKeyReused, check_key, fingerprint
from domain.limits import LimitKind
from domain.payments import Custody, Payment
from domain.refusals import NotFound
from domain.staff import Actor, Operation, check, scope
from resolvers import pages
from resolvers.audit import command
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.idempotency import earlier
from resolvers.payment_announcement import announce
from resolvers.staff import id_of

OPERATION = "submitHandIn"
MOST = 100


@command(OPERATION)
async def submit(context: Context, asked: SubmitHandIn) -> HandIn:
    """
    Hand in all the cash that the asker holds; from now on none of it can be voided.

    What waits for its void to be decided stays with its collector, and in their limit, until it is.
    The same key and input is the same hand-in. Raises InvalidInput, IdempotencyKeyReused.
    """
    actor = check(context.actor, Operation.SUBMIT_HAND_IN)
    check_key(asked.idempotency_key)
    check_counted(asked.counted_amount)
    asked = replace(asked, note=note_of(asked.note))
    print_ = fingerprint(OPERATION, [asked.counted_amount, asked.note])
    if (repeated := await _repeated(context, actor, asked, print_)) is not None:
        return repeated
    submitted = await _submit(context, actor, asked, print_)
    if submitted is None:  # the same key won the race
        repeated = await _repeated(context, actor, asked, print_)
        assert repeated is not None
        return repeated
    hand_in, moved = submitted
    await _announce(context, moved)
    return hand_in


@command("confirmHandIn")
async def confirm(context: Context, hand_in_id: str, *, counted_amount: int) -> HandIn:
    """
    Take over the cash as a cashier has counted it: from now on it is the bank's.

    The collector's cash in hand falls by all that was expected; a variance is a case of its own.
    Confirming again with the same figure is no effect. Raises NotFound, NotPermitted, HandInConfirmed.
    """
    actor = check(context.actor, Operation.CONFIRM_HAND_IN)
    check_counted(counted_amount)
    now = await context.clock()
    async with transaction():
        before = _visible(await hand_ins.lock(hand_in_id), actor, hand_in_id)
        hand_in = before.confirmed(counted_amount, by=actor.id, now=now)
        if hand_in is before:
            return before
        await hand_ins.confirm(hand_in)
        ids = await hand_ins.lock_payments(hand_in.id)
        moved = await hand_ins.move(ids, Custody.RECONCILED, hand_in.id, now)
        await ledger.post("HAND_IN", counted(hand_in), now, hand_in_id=hand_in.id)
        if hand_in.variance:
            await open_case(
                context,
                CaseKind.VARIANCE,
                now,
                amount=hand_in.variance,
                hand_in_id=hand_in.id,
                about=hand_in.staff_id,
            )
        await _record(context, "confirmHandIn", hand_in, moved, now)
        await limits.give_back(
            hand_in.staff_id,
            [LimitKind.CASH_IN_HAND],
            hand_in.expected_amount,
            today=business_date(now),
        )
    await _announce(context, moved)
    return hand_in


async def page(
    context: Context,
    *,
    status: HandInStatus | None,
    staff_id: str | None,
    first: int,
    after: str | None,
) -> pages.Page[HandIn]:
    """Return up to *first* of the hand-ins that the asker may see, newest first, behind *after*."""
    actor = check(context.actor, Operation.READ_HAND_INS)
    pages.check_first(first, most=MOST)
    key = None if after is None else pages.read(after, pages.by_time)
    wanted = None if staff_id is None else await id_of(staff_id)
    found = await hand_ins.page(
        scope(actor), status=status, staff_id=wanted, after=key, most=first + 1
    )
    return pages.cut(found, first, hand_ins.key)


async def _submit(
    context: Context, actor: Actor, asked: SubmitHandIn, print_: bytes
) -> tuple[HandIn, list[Payment]] | None:
    """Return the hand-in and its payments; None where the same key was claimed by another request."""
    now = await context.clock()
    hand_in_id = context.ids.record("HIN")
    async with transaction():
        claimed = await idempotency.claim(
            actor.id,
            OPERATION,
            asked.idempotency_key,
            fingerprint=print_,
            subject_id=hand_in_id,
            process=context.process,
            now=now,
            answered=True,
        )
        if not claimed:
            return None
        held = await hand_ins.lock_held(actor.id)
        if not held:
            raise nothing_held()
        hand_in = HandIn(
            id=hand_in_id,
            staff_id=actor.id,
            staff_name=actor.name,
            team=actor.team,
            status=HandInStatus.SUBMITTED,
            expected_amount=sum(payment.amount for payment in held),
            declared_amount=asked.counted_amount,
            note=asked.note,
            business_date=business_date(now),
            submitted_at=now,
        )
        await hand_ins.add(hand_in)
        ids = [payment.id for payment in held]
        moved = await hand_ins.move(ids, Custody.HANDED_IN, hand_in_id, now)
        await _record(context, OPERATION, hand_in, moved, now)
    return hand_in, moved


async def _repeated(
    context: Context, actor: Actor, asked: SubmitHandIn, print_: bytes
) -> HandIn | None:
    try:
        known = await earlier(context, actor.id, OPERATION, asked.idempotency_key, print_)
    except IdempotencyKeyReused:
        raise IdempotencyKeyReused(payment_id=None) from None  # it stands for no payment
    if known is None:
        return None
    hand_in = await hand_ins.by_id(known)
    assert hand_in is not None, "a key is kept in the transaction of its hand-in"
    return hand_in


def _visible(hand_in: HandIn | None, actor: Actor, hand_in_id: str) -> HandIn:
    if hand_in is None or not scope(actor).covers(staff_id=hand_in.staff_id, team=hand_in.team):
        raise NotFound(what_vi="lần nộp tiền", what_en="hand-in", id=hand_in_id)
    return hand_in


async def _record(
    context: Context, action: str, hand_in: HandIn, moved: Sequence[Payment], now: datetime
) -> None:
    """Write down the hand-in, and that each of its payments went along."""
    row = AuditEvent(
        at=now,
        actor=context.actor_id,
        action=action,
        request_id=context.request_id,
        details={
            "hand_in": hand_in.id,
            "expected": hand_in.expected_amount,
            "declared": hand_in.declared_amount,
            "counted": hand_in.cashier_amount,
        },
    )
    await audit.record(row)
    for payment in moved:
        details = {
            "hand_in": hand_in.id,
            "version": payment.version,
            "custody": payment.custody,
        }
        await audit.record(
            replace(
                row,
                payment_id=payment.id,
                from_status=payment.status,
                to_status=payment.status,
                details=details,
            )
        )


async def _announce(context: Context, moved: Sequence[Payment]) -> None:
    await asyncio.gather(*(announce(context, payment) for payment in moved))
