"""
Settlement: a gateway's file is evidence of money, and then a mirror of our books. Imported whole, or not at all.

First all of it is read, so that a bad file changes nothing. Then what it says and we do not know goes in
by the one door (resolvers/payment_evidence.py; of refunds resolvers/refund_execution.py), each in its own transaction; doing
that twice is doing it once, so a crash meanwhile costs a second run. Last, in one transaction, each line is compared with what
we have by then, kept, and each difference is given to people.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from db import audit, payments, settlement
from db.audit import AuditEvent
from db.settlement import Settlement
from db.transaction import transaction
from domain.calendar import business_date
from domain.cases import CaseKind
from domain.methods import GatewayName
from domain.reconciliation import ReconciliationLine, beside, in_question, repeated_by
from domain.settlement import (
    NO_CASE,
    Line,
    LineKind,
    OurRefund,
    Settled,
    SettlementResult,
    refund_of,
    tells_of_money,
    tells_of_refund,
)
from integrations.settlement import BadFile, digest, read
from resolvers import payment_evidence, refund_execution
from resolvers.audit import command
from resolvers.cases import open_case
from resolvers.context import Context

T = TypeVar("T")

AT_ONCE = 1000  # lines in hand
MOST_DAYS = 31  # a wrong year in one line would make a difference of all that we ever took


@dataclass(slots=True, kw_only=True)
class _Survey:
    """What is known of a file once all of it could be read."""

    digest: bytes
    lines: int = 0
    first_day: date | None = None
    last_day: date | None = None

    def covers(self, day: date) -> None:
        self.first_day = min(self.first_day or day, day)
        self.last_day = max(self.last_day or day, day)


@command("settle")
async def settle(
    context: Context, gateway: GatewayName, path: Path, *, day: date | None = None
) -> Settled:
    """
    Import the file at *path* of what *gateway* settled; it covers the days of its lines, and *day*.

    The same file again changes nothing. A line that an earlier file had is neither counted nor a case
    again; one that names what only we knew of completes that line. Raises BadFile, OSError.
    """
    now = await context.clock()
    shared = gateway in context.terms.shared
    survey = _survey(path, business_date(now), day, shared=shared)
    if (since := await settlement.imported_at(gateway, survey.digest)) is not None:
        return _nothing(path, survey, since)
    await _tell(context, gateway, path)
    assert survey.first_day is not None
    assert survey.last_day is not None
    imported = Settlement(
        id=context.ids.record("SET"),
        gateway=gateway,
        name=path.name[:200],
        digest=survey.digest,
        first_day=survey.first_day,
        last_day=survey.last_day,
        imported_at=await context.clock(),
        imported_by=context.actor_id,
    )
    async with transaction():
        if await settlement.add(imported):
            done = await _kept(context, imported, path, survey)
            if digest(path, day) != survey.digest:
                raise BadFile("it was changed while it was read")
            return done
    since = await settlement.imported_at(gateway, survey.digest)
    assert since is not None, "another import of the same file came first"
    return _nothing(path, survey, since)


def _survey(path: Path, today: date, day: date | None, *, shared: bool) -> _Survey:
    """Read all of the file and keep none of it. Raises BadFile."""
    survey = _Survey(digest=digest(path, day))
    if day is not None:
        survey.covers(day)
    for line in read(path, shared=shared):
        if line.day > today:
            raise BadFile(f"line {line.number}, column at: {line.day} has not come yet")
        survey.lines += 1
        survey.covers(line.day)
    if survey.first_day is None or survey.last_day is None:
        raise BadFile("it has no lines: say by --date which day it is of")
    if (survey.last_day - survey.first_day).days >= MOST_DAYS:
        raise BadFile(
            f"it reaches from {survey.first_day} to {survey.last_day}, more than {MOST_DAYS} days:"
            " look at its dates, or split it"
        )
    return survey


def _nothing(path: Path, survey: _Survey, since: datetime) -> Settled:
    return Settled(
        file=path.name, lines=survey.lines, known=survey.lines, results={}, cases=0, since=since
    )


# ── what it says of money ────────────────────────────────────────────────────────────────────────


async def _tell(context: Context, gateway: GatewayName, path: Path) -> None:
    """Apply what the file says of money and we do not know."""
    numbers: dict[tuple[LineKind, str], list[str | None]] = defaultdict(list)
    claimed: set[int] = set()
    for lines in _chunks(read(path, shared=gateway in context.terms.shared)):
        references = list({line.reference for line in lines})
        owners = await settlement.attempts_of(gateway, references)
        found = {by_id.id: by_id for by_id in await payments.by_ids(list(set(owners.values())))}
        refunds = await settlement.refunds_of(gateway, references)
        earlier = await _earlier(gateway, references)
        for about, before in earlier.items():
            numbers[about] += [line.gateway_id for line in before]
        for line in lines:
            about = (line.kind, line.reference)
            said = line.evidence(gateway, path.name)
            payment = found.get(owners.get(line.reference, ""))
            if line.kind is LineKind.REFUND:
                repeats = _repeats(line, earlier[about], claimed)
                again = line.gateway_id in numbers[about] if line.gateway_id else repeats
                refund = _taken(line, refunds, again=again)
                if refund is not None and tells_of_refund(line, refund):
                    await refund_execution.settle(context, refund.reversal_id, said)
            elif (
                payment is not None
                and payment.attempt is not None
                and tells_of_money(line, payment.attempt, numbers[about])
            ):
                applied = await payment_evidence.apply(context, line.reference, said)
                found[payment.id] = applied.payment
            numbers[about].append(line.gateway_id)


async def _earlier(
    gateway: GatewayName, references: Sequence[str]
) -> dict[tuple[LineKind, str], list[ReconciliationLine]]:
    """Return what is kept so far about these references, by its kind and reference."""
    found: dict[tuple[LineKind, str], list[ReconciliationLine]] = defaultdict(list)
    for line in await settlement.lines_of(gateway, references):
        found[line.kind, line.reference].append(line)
    return found


def _repeats(line: Line, earlier: Iterable[ReconciliationLine], claimed: set[int]) -> bool:
    """Return whether an earlier file had *line*, and claim the line that it repeats."""
    repeated = repeated_by(line, earlier, claimed)
    if repeated is None or repeated.id is None:
        return False
    claimed.add(repeated.id)
    return True


def _taken(line: Line, refunds: dict[str, list[OurRefund]], *, again: bool) -> OurRefund | None:
    """Return the refund that *line* is about, and let no later line take it for its own."""
    ours = refunds.get(line.reference, [])
    refund = refund_of(line, ours, again=again)
    if refund is not None:
        ours[ours.index(refund)] = replace(refund, settled=True)
    return refund


# ── what we have beside it ───────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class _Book:
    """An import under way, in its transaction. `claimed` are the lines of earlier files that it repeats."""

    context: Context
    settlement: Settlement
    claimed: set[int] = field(default_factory=set[int])
    known: int = 0
    results: Counter[SettlementResult] = field(default_factory=Counter[SettlementResult])
    cases: int = 0

    def repeats(self, line: Line, before: Iterable[ReconciliationLine]) -> bool:
        """Return whether an earlier file had *line*, as often as it had it."""
        files = [other for other in before if other.settlement_id != self.settlement.id]
        return _repeats(line, files, self.claimed)


async def _kept(context: Context, imported: Settlement, path: Path, survey: _Survey) -> Settled:
    """Keep each line beside what we have, and what only we have; in the caller's transaction."""
    book = _Book(context=context, settlement=imported)
    shared = imported.gateway in context.terms.shared
    for lines in _chunks(read(path, shared=shared)):
        await _keep(book, lines)
    only = await settlement.ours_only(
        imported.gateway, imported.first_day, imported.last_day, imported.id
    )
    for some in _chunks(iter(only)):
        counted = [await _counted(book, item, where=f"not in {imported.name}") for item in some]
        await settlement.add_lines(imported.gateway, counted)
    done = Settled(
        file=path.name,
        lines=survey.lines,
        known=book.known,
        results=dict(book.results),
        cases=book.cases,
    )
    await audit.record(
        AuditEvent(
            at=imported.imported_at,
            actor=context.actor_id,
            action="settle",
            source=f"{imported.gateway.lower()}:settlement",
            event_id=imported.id,
            request_id=context.request_id,
            details={
                "file": imported.name,
                "digest": imported.digest.hex(),
                "lines": done.lines,
                "known": done.known,
                "results": {str(item): many for item, many in done.results.items()},
                "cases": done.cases,
            },
        )
    )
    return done


async def _keep(book: _Book, lines: Sequence[Line]) -> None:
    gateway = book.settlement.gateway
    references = list({line.reference for line in lines})
    ours = await settlement.payments_of(gateway, references)
    refunds = await settlement.refunds_of(gateway, references)
    kept = await _earlier(gateway, references)
    added: list[ReconciliationLine] = []
    for line in lines:
        earlier = kept[line.kind, line.reference]
        payment = ours.get(line.reference)
        foreign = payment is None and book.context.terms.is_foreign(gateway, line.reference)
        repeats = book.repeats(line, earlier)
        if repeats and (foreign or line.gateway_id):
            book.known += 1
            continue
        numbers = {other.gateway_id for other in earlier}
        again = line.gateway_id in numbers if line.gateway_id else repeats
        refund = _taken(line, refunds, again=again) if line.kind is LineKind.REFUND else None
        compared = await _counted(
            book,
            beside(
                line,
                payment,
                refund,
                earlier,
                settlement_id=book.settlement.id,
                foreign=foreign,
            ),
            where=f"line {line.number} of {book.settlement.name}",
        )
        if compared.id is None:
            added.append(compared)
        else:
            await settlement.complete(compared)
            earlier[:] = [item for item in earlier if item.id != compared.id]
        earlier.append(compared)
    await settlement.add_lines(gateway, added)


async def _counted(book: _Book, line: ReconciliationLine, *, where: str) -> ReconciliationLine:
    """Count a line by its result, and give people a difference that they do not have yet."""
    book.results[line.result] += 1
    if line.result in NO_CASE or line.case_id is not None:
        return line
    number = "" if line.gateway_id is None else f" ({line.gateway_id})"
    case = await open_case(
        book.context,
        CaseKind.SETTLEMENT,
        book.settlement.imported_at,
        payment=await payments.by_id(line.payment_id) if line.payment_id else None,
        gateway=book.settlement.gateway,
        amount=in_question(line),
        reversal_id=line.reversal_id,
        about=f"{line.result}: {line.kind.lower()} {line.reference}{number}, {where}",
    )
    book.cases += 1
    return replace(line, case_id=case.id)


def _chunks(items: Iterator[T]) -> Iterator[list[T]]:
    while some := list(islice(items, AT_ONCE)):
        yield some
