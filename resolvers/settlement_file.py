"""A settlement file that was read once from its first line to its last, and can be read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from db import settlement
from domain.methods import GatewayName
from domain.settlement import ForeignLine, Line
from integrations.settlement import BadFile, digest, read
from resolvers.context import Terms
from resolvers.settlement_lines import batches

MAX_DAYS = 31  # a wrong year in one line would make a difference of every payment since
_LONGEST = timedelta(days=MAX_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementFile:
    """A readable file; it covers the days from the first to the last. `today` is its reading's."""

    gateway: GatewayName
    path: Path
    terms: Terms
    today: date
    digest: bytes
    lines: int
    first_day: date
    last_day: date

    @property
    def name(self) -> str:
        return self.path.name

    def batches(self) -> Iterator[tuple[list[Line], list[ForeignLine]]]:
        """Yield the lines, and the unreadable lines of other programs, some at a time."""
        return _batches(self.gateway, self.path, self.terms, self.today)


async def survey(
    gateway: GatewayName, path: Path, terms: Terms, *, today: date, day: date | None
) -> SettlementFile:
    """Read all of the file and keep no line of it. *day* is one that it covers. Raises BadFile."""
    file_digest = digest(path, day)
    count, own_days, foreign_days = 0, set[date]() if day is None else {day}, set[date]()
    for lines, foreign_lines in _batches(gateway, path, terms, today):
        await _check_unreadable(gateway, foreign_lines)
        count += len(lines) + len(foreign_lines)
        for line in lines:
            is_foreign = terms.is_foreign(gateway, line.reference)
            (foreign_days if is_foreign else own_days).add(line.day)
        foreign_days |= {line.day for line in foreign_lines if line.day is not None}
    foreign_days = {day for day in foreign_days if day <= today}
    first_day, last_day = _covered_days(own_days, foreign_days)
    return SettlementFile(
        gateway=gateway,
        path=path,
        terms=terms,
        today=today,
        digest=file_digest,
        lines=count,
        first_day=first_day,
        last_day=last_day,
    )


def _batches(
    gateway: GatewayName, path: Path, terms: Terms, today: date
) -> Iterator[tuple[list[Line], list[ForeignLine]]]:
    def is_foreign(reference: str) -> bool:
        return terms.is_foreign(gateway, reference)

    is_shared = gateway in terms.shared
    for batch in batches(read(path, today=today, is_foreign=is_foreign if is_shared else None)):
        lines = [line for line in batch if isinstance(line, Line)]
        yield lines, [line for line in batch if isinstance(line, ForeignLine)]


async def _check_unreadable(gateway: GatewayName, lines: list[ForeignLine]) -> None:
    """Raise BadFile where an unreadable line has a reference or number of ours."""
    if not lines:
        return
    references = await settlement.attempts_of(gateway, [line.reference for line in lines])
    numbers = await settlement.known_numbers(gateway, [line.gateway_id for line in lines])
    for line in lines:
        if line.reference in references or line.gateway_id in numbers:
            raise BadFile(line.problem)


def _covered_days(own_days: set[date], foreign_days: Iterable[date]) -> tuple[date, date]:
    """
    Return the first and the last day that a file covers. Raises BadFile.

    Days of other programs' lines count, newest first, as far as the file stays short enough: their
    wrong year widens no file.
    """
    days = set(own_days)
    for day in sorted(foreign_days, reverse=True):
        if not days or max(*days, day) - min(*days, day) < _LONGEST:
            days.add(day)
    if not days:
        raise BadFile("it has no lines: name its day with --date")
    first_day, last_day = min(days), max(days)
    if last_day - first_day >= _LONGEST:
        raise BadFile(
            f"it reaches from {first_day} to {last_day}, more than {MAX_DAYS} days:"
            " look at its dates, or split it"
        )
    return first_day, last_day
