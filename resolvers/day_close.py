"""The close of a collector's day."""

from __future__ import annotations

from datetime import date, timedelta

from db import day_close
from domain.calendar import day_end
from domain.day_close import DayClose
from domain.refusals import InvalidInput
from domain.sentences import InputProblem
from domain.staff import Operation, check
from resolvers.context import Context
from resolvers.limits import visible
from resolvers.staff import id_of


async def of_staff(context: Context, staff_id: str, day: date) -> DayClose:
    """
    Return the close of a Vietnamese day of a member of staff whom the actor may see.

    Today's close counts up to now. Raises NotFound, InvalidInput, and UpstreamUnavailable for a
    member of staff who never logged in here.
    """
    actor = check(context.actor, Operation.READ_DAY_CLOSE)
    try:
        begins, ends = day_end(day - timedelta(days=1)), day_end(day)
    except OverflowError:
        raise InvalidInput.because(InputProblem.OUTSIDE_CALENDAR, field="date") from None
    collector_id = await id_of(staff_id)
    if collector_id != actor.id:
        collector_id = (await visible(context, actor, collector_id)).staff_id
    return await day_close.of_staff(collector_id, day, begins=begins, ends=ends)
