"""What counts against a member of staff's limits; an update's own condition enforces each limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from db.engine import execute, fetch, fetchrow, fetchval
from domain.calendar import day_end
from domain.limits import Limit, LimitExceeded, LimitKind, LimitSource, StaffLimits, UsageReport
from domain.refusals import UpstreamUnavailable

# Cash in hand is a balance, not a day's turnover, so that its row has this date on every day.
_STANDING = date(2000, 1, 1)
# Locks a person's limits in the order of their kinds, whatever the plan, so that none deadlock.
_LOCKED = """
with locked as materialized (
    select business_date as locked_day, kind as locked_kind
      from staff_limit
      join unnest($2::text[], $3::date[]) with ordinality
           as given (kind, business_date, position) using (kind, business_date)
     where staff = $1 order by position for no key update of staff_limit)
"""
_IS_LOCKED = "staff = $1 and business_date = locked_day and kind = locked_kind"
_USED = "(first_reported_used + greatest(own_used, reported_used - first_reported_used))"


async def record_reported(
    staff_id: str, reported: StaffLimits, *, cash_in_hand: int, today: date, now: datetime
) -> UsageReport:
    """Write the limits that Staff Management reports today; its first figure of the day stays."""
    reading = UsageReport(
        first_reported=reported.used_today,
        last_reported=reported.used_today,
        reported=reported.used_today,
        own_used=0,
    )
    ceilings = {
        LimitKind.PER_TRANSACTION: (today, reported.per_transaction, 0),
        LimitKind.DAILY: (today, reported.daily, reported.used_today),
        LimitKind.CASH_IN_HAND: (_STANDING, cash_in_hand, 0),
    }
    for kind in _in_order(ceilings):
        day, ceiling, used = ceilings[kind]
        row = await fetchrow(
            """
            with earlier as (
                select reported_used from staff_limit
                 where staff = $1 and business_date = $2 and kind = $3)
            insert into staff_limit (staff, business_date, kind, ceiling, own_used, reserved,
                                     first_reported_used, reported_used, read_at)
            values ($1, $2, $3, $4, 0, 0, $5, $5, $6)
                on conflict (staff, business_date, kind) do update
               set ceiling = excluded.ceiling, reported_used = excluded.reported_used,
                   read_at = excluded.read_at
            returning first_reported_used, own_used + reserved as own_used,
                      coalesce((select reported_used from earlier), reported_used) as before
            """,
            staff_id,
            day,
            kind,
            ceiling,
            used,
            now,
        )
        if kind is LimitKind.DAILY and row is not None:
            reading = UsageReport(
                first_reported=row["first_reported_used"],
                last_reported=row["before"],
                reported=reported.used_today,
                own_used=row["own_used"],
            )
    return reading


async def read_at(staff_id: str, today: date) -> datetime | None:
    """Return when Staff Management last reported this member of staff today; None if it did not."""
    return await fetchval(
        "select read_at from staff_limit where staff = $1 and business_date = $2 and kind = $3",
        staff_id,
        today,
        LimitKind.DAILY,
    )


async def current(staff_id: str, today: date, source: LimitSource) -> tuple[Limit, ...]:
    rows = await fetch(
        f"""
        select kind, ceiling, {_USED} as used, reserved from staff_limit
         where staff = $1 and business_date in ($2, $3)
        """,
        staff_id,
        today,
        _STANDING,
    )
    found = {
        LimitKind(row["kind"]): Limit(
            staff_id=staff_id,
            kind=LimitKind(row["kind"]),
            limit=row["ceiling"],
            used=row["used"],
            reserved=row["reserved"],
            resets_at=day_end(today) if row["kind"] == LimitKind.DAILY else None,
            source=source,
        )
        for row in rows
    }
    return tuple(found[kind] for kind in LimitKind if kind in found)


async def take(
    staff_id: str, kinds: Sequence[LimitKind], amount: int, *, today: date, reserve: bool
) -> None:
    """
    Count *amount* against each limit, as reserved or as used.

    Concurrent calls cannot exceed a limit, because the update's own condition decides. Raises
    LimitExceeded, and UpstreamUnavailable where Staff Management has reported nothing for the day.
    """
    if not kinds:
        return
    column = "reserved" if reserve else "own_used"
    ordered = _in_order(kinds)
    rows = await fetch(
        f"""
        {_LOCKED}
        update staff_limit
           set {column} = {column} + case kind when 'PER_TRANSACTION' then 0 else $4 end
          from locked where {_IS_LOCKED} and {_USED} + reserved + $4 <= ceiling
        returning kind
        """,
        staff_id,
        ordered,
        [_day(kind, today) for kind in ordered],
        amount,
    )
    counted = {row["kind"] for row in rows}
    exceeded = next((kind for kind in ordered if kind not in counted), None)
    if exceeded is not None:
        limits = await current(staff_id, today, LimitSource.STAFF_MANAGEMENT)
        limit = next((item for item in limits if item.kind is exceeded), None)
        if limit is None:
            raise UpstreamUnavailable(system="Staff Management")
        raise LimitExceeded.of(limit, amount)


async def use(staff_id: str, kinds: Sequence[LimitKind], amount: int, *, today: date) -> None:
    """Turn a reservation into use, because the payment succeeded."""
    await _move(staff_id, kinds, today, reserved=-amount, own_used=amount)


async def release(staff_id: str, kinds: Sequence[LimitKind], amount: int, *, today: date) -> None:
    """Release a reservation, because the payment ended without success."""
    await _move(staff_id, kinds, today, reserved=-amount, own_used=0)


async def give_back(staff_id: str, kinds: Sequence[LimitKind], amount: int, *, today: date) -> None:
    """Subtract from what is used, because cash was handed in or a payment voided."""
    await _move(staff_id, kinds, today, reserved=0, own_used=-amount)


async def use_late(staff_id: str, kinds: Sequence[LimitKind], amount: int, *, today: date) -> None:
    """Count money that arrived after its reservation was released, even past the limit."""
    await _move(staff_id, kinds, today, reserved=0, own_used=amount)


async def _move(
    staff_id: str, kinds: Sequence[LimitKind], today: date, *, reserved: int, own_used: int
) -> None:
    counting = [kind for kind in _in_order(kinds) if kind is not LimitKind.PER_TRANSACTION]
    if not counting:
        return
    await execute(
        f"""
        {_LOCKED}
        update staff_limit set reserved = reserved + $4, own_used = own_used + $5
          from locked where {_IS_LOCKED}
        """,
        staff_id,
        counting,
        [_day(kind, today) for kind in counting],
        reserved,
        own_used,
    )


def _in_order(kinds: Iterable[LimitKind]) -> list[LimitKind]:
    """Return the kinds in the order of locking; a refusal names the first that is exceeded."""
    return sorted(kinds, key=list(LimitKind).index)


def _day(kind: LimitKind, today: date) -> date:
    return _STANDING if kind is LimitKind.CASH_IN_HAND else today


# How long a report is used: before Staff Management is called again, and while it is down.
FRESH_FOR, USABLE_FOR = timedelta(seconds=60), timedelta(minutes=15)
