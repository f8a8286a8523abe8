"""What a member of staff may still take, and watching it fall."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict
from datetime import datetime

import structlog
from prometheus_client import Counter

from db import audit, limits, staff
from db.audit import AuditEvent
from db.limits import FRESH, USABLE
from db.transaction import transaction
from domain.calendar import business_date
from domain.limits import Limit, LimitPreview, LimitSource, StaffLimits, kinds_of
from domain.methods import PaymentMethod
from domain.refusals import NotFound, UpstreamUnavailable, check_amount
from domain.staff import Actor, Operation, Staff, check, scope
from resolvers.context import Context
from resolvers.payment_announcement import limit_channel
from resolvers.staff import id_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DRIFTS = Counter(
    "mobinet_limit_drifts", "Times that Staff Management had counted more than we know of"
)
LOOK_AGAIN_SECONDS = 15.0  # a hint can be lost, and the day turns without one


async def of_staff(context: Context, staff_id: str | None = None) -> tuple[Limit, ...]:
    """
    Return the limits of one member of staff, the asker's own by default.

    Raises NotFound for one who is not the asker's to see, UpstreamUnavailable when Staff Management
    is down and was last heard more than 15 minutes ago.
    """
    actor = check(context.actor, Operation.READ_LIMIT)
    wanted = actor.id if staff_id is None else await id_of(staff_id)
    if wanted != actor.id:
        wanted = (await visible(context, actor, wanted)).staff_id
    return await current(context, wanted, await context.clock())


async def preview(context: Context, method: PaymentMethod, amount: int) -> LimitPreview:
    """Tell whether the asker may take *amount* by *method* now."""
    check_amount(amount)
    found = await of_staff(context)
    kinds = kinds_of(method)
    return LimitPreview(
        allowed=all(limit.allows(amount) for limit in found if limit.kind in kinds), limits=found
    )


async def changes(context: Context) -> AsyncGenerator[Limit]:
    """Yield each limit of the asker now, and again whenever it changes."""
    actor = check(context.actor, Operation.READ_LIMIT)
    seen: dict[str, Limit] = {}
    async with context.hub.watch(limit_channel(actor.id)) as wakes:
        while True:
            for limit in await current(context, actor.id, await context.clock()):
                if seen.get(limit.kind) != limit:
                    seen[limit.kind] = limit
                    yield limit
            await wakes.next(timeout=LOOK_AGAIN_SECONDS)


async def current(context: Context, staff_id: str, now: datetime) -> tuple[Limit, ...]:
    """
    Return the limits as of *now*, asking Staff Management when it was not asked just before.

    While it is down, what it said up to 15 minutes ago serves, marked CACHED. Never "unlimited".
    """
    today = business_date(now)
    heard = await limits.read_at(staff_id, today)
    source = LimitSource.STAFF_MANAGEMENT
    if heard is None or now - heard > FRESH:
        try:
            known, theirs = await context.staff_management.staff(staff_id)
            async with transaction():
                await staff.learn(known, now)
                await learn(context, known.staff_id, theirs, now)
        except UpstreamUnavailable:
            if heard is None or now - heard > USABLE:
                raise
            source = LimitSource.CACHED
    return await limits.current(staff_id, today, source)


async def learn(context: Context, staff_id: str, theirs: StaffLimits, now: datetime) -> None:
    """
    Write down the limits that Staff Management gives today, in the caller's transaction.

    Where they have counted more than we know of, ours still decides, and somebody is told.
    """
    cash_in_hand = context.terms.cash_in_hand_limit
    reading = await limits.learn(
        staff_id,
        theirs,
        cash_in_hand=theirs.daily if cash_in_hand is None else cash_in_hand,
        today=business_date(now),
        now=now,
    )
    if reading.drifts:
        DRIFTS.inc()
        figures: dict[str, object] = {"staff": staff_id, **asdict(reading)}
        log.error("limit drifts", **figures)
        await audit.append(
            AuditEvent(
                at=now,
                actor="system",
                action="limitDrift",
                request_id=context.request_id,
                details=figures,
            )
        )


async def visible(context: Context, actor: Actor, staff_id: str) -> Staff:
    """Return a member of staff whom the asker sees. Raises NotFound, UpstreamUnavailable."""
    known = await staff.by_id(staff_id)
    if known is None:
        known, _ = await context.staff_management.staff(staff_id)
    if not scope(actor).covers(staff_id=known.staff_id, team=known.team):
        raise NotFound(what_vi="nhân viên", what_en="member of staff", id=staff_id)
    return known
