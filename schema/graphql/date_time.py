"""The scalar `DateTime`: a point in time with its offset from UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import strawberry

from domain.refusals import InvalidInput
from domain.sentences import InputProblem
from schema.graphql.errors import ApiError

EXAMPLE = "2026-11-30T08:30:00+07:00"


def _parse(value: object) -> datetime | None:
    """Return a moment with its offset, None for an empty text; raise ApiError for anything else."""
    if isinstance(value, str) and not value.strip():
        return None  # every DateTime input is optional, and an empty one counts as absent
    try:
        if isinstance(value, str) and (parsed := datetime.fromisoformat(value.upper())).tzinfo:
            return parsed
    except ValueError:
        pass
    raise ApiError(
        "BAD_USER_INPUT",
        vi=f"Thời điểm phải viết theo RFC 3339, kèm chênh lệch múi giờ, ví dụ {EXAMPLE}.",
        en=f"A DateTime is written as RFC 3339 has it, with its offset, for example {EXAMPLE}.",
    )


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description=f"A date and time with its UTC offset (RFC 3339), for example `{EXAMPLE}`.",
    serialize=datetime.isoformat,
    parse_value=_parse,
)


def in_utc(field: str, value: datetime | None) -> datetime | None:
    """Return the value in UTC. Raises InvalidInput if it leaves the calendar's range."""
    try:
        return value and value.astimezone(UTC)
    except OverflowError:
        raise InvalidInput.because(InputProblem.OUTSIDE_CALENDAR, field=field) from None
