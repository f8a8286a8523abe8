"""Limits: how much staff money a member of staff may still take, read and watched."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict
from datetime import datetime

import structlog
from prometheus_client import Counter

from db import audit, limits, staff
from db.audit import AuditEvent
from db.limits import FRESH_FOR, USABLE_FOR
from db.transaction import transaction
from domain.calendar import business_date
from domain.limits import Limit, LimitPreview, LimitSource, StaffLimits, kinds_of
from domain.methods import PaymentMethod
from domain.refusals import NotFound, UpstreamUnavailable, check_amount
from domain.sentences import Noun
from domain.staff import Actor, Operation, Staff, check, scope
from resolvers.context import Context
from resolvers.payment_announcement import limit_channel
from resolvers.staff import id_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DRIFTS = Counter(
    "mobinet_limit_drifts", "Times that Staff Management had counted more than we know of"
)
LOOK_AGAIN_SECONDS = 15.0  # a hint can be lost, and a new day sends none


async def of_staff(context: Context, staff_id: str | None = None) -> tuple[Limit, ...]:
    """
    Return the limits of one member of staff, by default the actor's own.

    Raises NotFound for one whom the actor may not see, and UpstreamUnavailable while Staff
    Management is down and its last answer is more than 15 minutes old.
    """
    actor = check(context.actor, Operation.READ_LIMIT)
    collector_id = actor.id if staff_id is None else await id_of(staff_id)
    if collector_id != actor.id:
        collector_id = (await visible(context, actor, collector_id)).staff_id
    return await current(context, collector_id, await context.clock())


async def preview(context: Context, method: PaymentMethod, amount: int) -> LimitPreview:
    """Return whether the actor may take *amount* VND by *method* now."""
    check_amount(amount)
    found = await of_staff(context)
    kinds = kinds_of(method)
    return LimitPreview(
        allowed=all(limit.allows(amount) for limit in found if limit.kind in kinds), limits=found
    )


async def changes(context: Context) -> AsyncGenerator[Limit]:
    """Yield each limit of the actor now, and again whenever it changes."""
    actor = check(context.actor, Operation.READ_LIMIT)
    seen: dict[str, Limit] = {}
    async with context.hub.watch(limit_channel(actor.id)) as watcher:
        while True:
            for limit in await current(context, actor.id, await context.clock()):
                if seen.get(limit.kind) != limit:
                    seen[limit.kind] = limit
                    yield limit
            await watcher.next(timeout=LOOK_AGAIN_SECONDS)


async def current(context: Context, staff_id: str, now: datetime) -> tuple[Limit, ...]:
    """
    Return the limits as of *now*, read from Staff Management unless its last answer is fresh.

    While it is down, an answer up to 15 minutes old is used and marked CACHED. Raises
    UpstreamUnavailable without one.
    """
    today = business_date(now)
    read_at = await limits.read_at(staff_id, today)
    source = LimitSource.STAFF_MANAGEMENT
    if not _is_fresh(read_at, now):
        try:
            person, given_limits = await context.staff_management.staff(staff_id)
            async with transaction():
                await staff.upsert(person, now)
                await record_reported(context, person.staff_id, given_limits, now)
        except UpstreamUnavailable:
            if read_at is None or now - read_at > USABLE_FOR:
                raise
            source = LimitSource.CACHED
    return await limits.current(staff_id, today, source)


async def refresh(context: Context, staff_id: str) -> None:
    """
    Read the limits from Staff Management, unless its last answer is fresh.

    Raises UpstreamUnavailable as `current` does.
    """
    now = await context.clock.recent()
    if not _is_fresh(await limits.read_at(staff_id, business_date(now)), now):
        await current(context, staff_id, await context.clock())


def _is_fresh(read_at: datetime | None, now: datetime) -> bool:
    return read_at is not None and now - read_at <= FRESH_FOR


async def record_reported(
    context: Context, staff_id: str, given: StaffLimits, now: datetime
) -> None:
    """
    Store the limits that Staff Management gives for today, in the caller's transaction.

    Where it has counted more than we have, our count still decides; the drift is logged, audited
    and counted.
    """
    cash_in_hand = context.terms.cash_in_hand_limit
    reading = await limits.record_reported(
        staff_id,
        given,
        cash_in_hand=given.daily if cash_in_hand is None else cash_in_hand,
        today=business_date(now),
        now=now,
    )
    if reading.has_drifted:
        DRIFTS.inc()
        figures: dict[str, object] = {"staff": staff_id, **asdict(reading)}
        log.error("limit_drift", **figures)
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
    """Return a member of staff whom *actor* may see. Raises NotFound, UpstreamUnavailable."""
    person = await staff.by_id(staff_id)
    if person is None:
        person, _ = await context.staff_management.staff(staff_id)
    if not scope(actor).covers(staff_id=person.staff_id, team=person.team):
        raise NotFound.of(Noun.STAFF, id=staff_id)
    return person
