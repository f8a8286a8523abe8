"""Hand-ins: the cash that a collector submits to the office, and that a cashier counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, hand_ins, ledger, limits
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
    no_cash_held,
    note_of,
)
from domain.idempotency import check_key
from domain.limits import LimitKind
from domain.payments import Custody, Payment
from domain.refusals import NotFound
from domain.sentences import Noun
from domain.staff import Actor, Operation, check, scope
from resolvers import pages
from resolvers.audit import audited
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.idempotency import CommandKey, claim, command_key, run_once
from resolvers.payment_announcement import announce
from resolvers.sessions import require_open
from resolvers.staff import id_of

OPERATION = "submitHandIn"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submitted:
    """A committed hand-in and the payments whose cash it takes."""

    hand_in: HandIn
    moved: Sequence[Payment]


@audited(OPERATION)
async def submit(context: Context, request: SubmitHandIn) -> HandIn:
    """
    Hand in all the cash that the actor holds; from now on none of it can be voided.

    Cash whose void awaits a decision stays with its collector, and in their limit, until then.
    The same key and input is the same hand-in. Raises InvalidInput, IdempotencyKeyReused.
    """
    actor = check(context.actor, Operation.SUBMIT_HAND_IN)
    check_key(request.idempotency_key)
    check_counted(request.counted_amount)
    request = replace(request, note=note_of(request.note))
    facts = [request.counted_amount, request.note]
    key = command_key(actor, OPERATION, request.idempotency_key, facts)

    async def open_new() -> _Submitted:
        return await _submit(context, actor, request, key)

    async def finish(submitted: _Submitted) -> HandIn:
        await _announce(context, submitted.moved)
        return submitted.hand_in

    return await run_once(context, key, open_new=open_new, finish=finish, replay=hand_ins.get)


@audited("confirmHandIn")
async def confirm(context: Context, hand_in_id: str, *, counted_amount: int) -> HandIn:
    """
    Confirm a hand-in as a cashier has counted it; its cash then belongs to the bank account.

    The collector's cash in hand falls by the expected amount, and a variance opens a case.
    Repeating it with the same figure has no effect. Raises NotFound, NotPermitted,
    HandInConfirmed.
    """
    actor = check(context.actor, Operation.CONFIRM_HAND_IN)
    check_counted(counted_amount)
    now = await context.clock()
    async with transaction():
        await require_open(context)
        before = _visible(await hand_ins.lock(hand_in_id), actor, hand_in_id)
        hand_in = before.confirmed(counted_amount, by=actor.id, now=now)
        if hand_in is before:
            return before
        await hand_ins.confirm(hand_in)
        ids = await hand_ins.lock_payments(hand_in.id)
        moved = await hand_ins.move(ids, Custody.RECONCILED, hand_in.id, now)
        await ledger.post_and_audit("HAND_IN", counted(hand_in), now, hand_in_id=hand_in.id)
        if hand_in.variance:
            new_case = NewCase(
                kind=CaseKind.VARIANCE,
                amount=hand_in.variance,
                hand_in_id=hand_in.id,
                about=hand_in.staff_id,
            )
            await open_case(context, new_case, now)
        await _audit(context, "confirmHandIn", hand_in, moved, now)
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
    request: pages.PageRequest,
    *,
    status: HandInStatus | None,
    staff_id: str | None,
) -> pages.Page[HandIn]:
    """Return a page of the hand-ins that the actor may see, newest first. Raises InvalidInput."""
    actor = check(context.actor, Operation.READ_HAND_INS)
    page = pages.page_range(request, pages.by_time)
    collector_id = None if staff_id is None else await id_of(staff_id)
    found = await hand_ins.page(scope(actor), page, status=status, staff_id=collector_id)
    return pages.cut(found, page, hand_ins.key)


async def _submit(
    context: Context, actor: Actor, request: SubmitHandIn, key: CommandKey
) -> _Submitted:
    """Take all the cash of *actor* in one transaction. Raises KeyTaken, InvalidInput for none."""
    hand_in_id = context.ids.record("HIN")
    async with transaction():
        now = await claim(context, key, hand_in_id, answered=True)
        held = await hand_ins.lock_held(actor.id)
        if not held:
            raise no_cash_held()
        hand_in = HandIn(
            id=hand_in_id,
            staff_id=actor.id,
            staff_name=actor.name,
            team=actor.team,
            status=HandInStatus.SUBMITTED,
            expected_amount=sum(payment.amount for payment in held),
            declared_amount=request.counted_amount,
            note=request.note,
            business_date=business_date(now),
            submitted_at=now,
        )
        await hand_ins.add(hand_in)
        ids = [payment.id for payment in held]
        moved = await hand_ins.move(ids, Custody.HANDED_IN, hand_in_id, now)
        await _audit(context, OPERATION, hand_in, moved, now)
    return _Submitted(hand_in=hand_in, moved=moved)


def _visible(hand_in: HandIn | None, actor: Actor, hand_in_id: str) -> HandIn:
    if hand_in is None or not scope(actor).covers(staff_id=hand_in.staff_id, team=hand_in.team):
        raise NotFound.of(Noun.HAND_IN, id=hand_in_id)
    return hand_in


async def _audit(
    context: Context, action: str, hand_in: HandIn, moved: Sequence[Payment], now: datetime
) -> None:
    """Write an audit row for the hand-in, and one for each payment that it moves."""
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
    await audit.append(row)
    for payment in moved:
        payment_row = replace(
            row,
            payment_id=payment.id,
            from_status=payment.status,
            to_status=payment.status,
            details={
                "hand_in": hand_in.id,
                "version": payment.version,
                "custody": payment.custody,
            },
        )
        await audit.append(payment_row)


async def _announce(context: Context, moved: Sequence[Payment]) -> None:
    await asyncio.gather(*(announce(context, payment) for payment in moved))
