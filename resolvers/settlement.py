"""
Importing a gateway's settlement file: evidence of money first, then a comparison with our books.

The whole file is read before anything changes, so a bad file has no effect. Then each line that we
do not know is applied as evidence, in its own transaction; repeating that has no effect, so after a
crash the import is run again. Last, one transaction compares every line with our books, stores it,
and opens a case for each difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from db import audit, foreign_lines, payments, settlement
from db.audit import AuditEvent
from db.settlement import Settlement
from db.transaction import transaction
from domain.calendar import business_date
from domain.cases import CaseKind
from domain.methods import GatewayName
from domain.reconciliation import ReconciliationLine, disputed_amount, reconciliation_line
from domain.settlement import (
    RESULTS_WITHOUT_CASE,
    ForeignLine,
    ImportSummary,
    Line,
    LineKind,
    OurPayment,
    OurRefund,
    SettlementResult,
)
from integrations.settlement import BadFile, digest
from resolvers.audit import audited
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.settlement_evidence import apply_evidence
from resolvers.settlement_file import SettlementFile, survey
from resolvers.settlement_lines import batches, earlier_lines, repeats, take_refund


@audited("settle")
async def import_file(
    context: Context, gateway: GatewayName, path: Path, *, day: date | None = None
) -> ImportSummary:
    """
    Import the settlement file at *path*; it covers the days of its lines, and *day*.

    The same file again changes nothing. A line that an earlier file had is neither counted nor a
    case again; one that names what only we had completes that line. Raises BadFile, OSError.
    """
    now = await context.clock()
    file = await survey(gateway, path, context.terms, today=business_date(now), day=day)
    if (since := await settlement.imported_at(gateway, file.digest)) is not None:
        return _unchanged_summary(file, since)
    await apply_evidence(context, file)
    imported = Settlement(
        id=context.ids.record("SET"),
        gateway=gateway,
        name=path.name[:200],
        digest=file.digest,
        first_day=file.first_day,
        last_day=file.last_day,
        imported_at=await context.clock(),
        imported_by=context.actor_id,
    )
    async with transaction():
        if await settlement.add(imported):
            result = await _compare(context, imported, file)
            if digest(path, day) != file.digest:
                raise BadFile("it was changed while it was read")
            return result
    since = await settlement.imported_at(gateway, file.digest)
    assert since is not None, "another import of the same file came first"
    return _unchanged_summary(file, since)


def _unchanged_summary(file: SettlementFile, since: datetime) -> ImportSummary:
    return ImportSummary(
        file=file.name,
        lines=file.lines,
        known_lines=file.lines,
        results={},
        cases=0,
        imported_at=since,
    )


# ── comparison ───────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """
    The second pass over the file, in its transaction, with its counts so far.

    `claimed` are the lines of earlier files that it repeats. `foreign` counts the unreadable lines
    of other programs by their digest.
    """

    context: Context
    settlement: Settlement
    claimed: set[int] = field(default_factory=set[int])
    foreign: Counter[bytes] = field(default_factory=Counter[bytes])
    known: int = 0
    results: Counter[SettlementResult] = field(default_factory=Counter[SettlementResult])
    cases: int = 0

    def repeats(self, line: Line, earlier: Iterable[ReconciliationLine]) -> bool:
        """Return whether an earlier file had *line*, as often as it had it."""
        of_other_files = [other for other in earlier if other.settlement_id != self.settlement.id]
        return repeats(line, of_other_files, self.claimed)


async def _compare(context: Context, imported: Settlement, file: SettlementFile) -> ImportSummary:
    """Store each line with what we have, and what only we have; in the caller's transaction."""
    comparison = _Comparison(context=context, settlement=imported)
    for lines, unreadable in file.batches():
        await _compare_batch(comparison, lines)
        await _add_foreign(comparison, unreadable)
    await _add_ours_only(comparison)
    result = ImportSummary(
        file=file.name,
        lines=file.lines,
        known_lines=comparison.known,
        results=dict(comparison.results),
        cases=comparison.cases,
    )
    await _audit(context, imported, result)
    return result


async def _add_ours_only(comparison: _Comparison) -> None:
    """Store the payments and refunds of the file's days that the file does not have."""
    imported = comparison.settlement
    ours_only = await settlement.ours_only(
        imported.gateway, imported.first_day, imported.last_day, imported.id
    )
    for lines in batches(iter(ours_only)):
        where = f"not in {imported.name}"
        counted = [await _count(comparison, line, where=where) for line in lines]
        await settlement.add_lines(imported.gateway, counted)


async def _compare_batch(comparison: _Comparison, lines: Sequence[Line]) -> None:
    gateway = comparison.settlement.gateway
    references = list({line.reference for line in lines})
    ours = await settlement.payments_of(gateway, references)
    refunds = await settlement.refunds_of(gateway, references)
    earlier = await earlier_lines(gateway, references)
    foreign = await _foreign_references(comparison, lines, ours)
    new_lines: list[ReconciliationLine] = []
    for line in lines:
        stored_lines = earlier[line.kind, line.reference]
        payment = ours.get(line.reference)
        is_foreign = line.reference in foreign
        compared = await _compare_line(
            comparison, line, payment, refunds, stored_lines, is_foreign=is_foreign
        )
        if compared is None:
            continue
        if compared.id is None:
            new_lines.append(compared)
        else:
            await settlement.complete(compared)
            stored_lines[:] = [other for other in stored_lines if other.id != compared.id]
        stored_lines.append(compared)
    await settlement.add_lines(gateway, new_lines)


async def _foreign_references(
    comparison: _Comparison, lines: Sequence[Line], ours: Collection[str]
) -> set[str]:
    """Return the references of other programs' lines: neither they nor their numbers are ours."""
    gateway, terms = comparison.settlement.gateway, comparison.context.terms
    candidates = [
        line
        for line in lines
        if line.reference not in ours and terms.is_foreign(gateway, line.reference)
    ]
    if not candidates:
        return set()
    numbers = [line.gateway_id for line in candidates if line.gateway_id]
    known = await settlement.known_numbers(gateway, numbers)
    of_ours = {line.reference for line in candidates if line.gateway_id in known}
    return {line.reference for line in candidates} - of_ours


async def _add_foreign(comparison: _Comparison, lines: Sequence[ForeignLine]) -> None:
    """Store the unreadable lines of other programs, each as often as one file has it."""
    if not lines:
        return
    imported = comparison.settlement
    stored = await foreign_lines.counts(imported.gateway, [line.digest for line in lines])
    new_lines: list[ForeignLine] = []
    for line in lines:
        comparison.foreign[line.digest] += 1
        if comparison.foreign[line.digest] > stored.get(line.digest, 0):
            new_lines.append(line)
    await foreign_lines.add(
        imported.gateway, new_lines, settlement_id=imported.id, day=imported.last_day
    )
    comparison.results[SettlementResult.FOREIGN] += len(new_lines)
    comparison.known += len(lines) - len(new_lines)


async def _compare_line(
    comparison: _Comparison,
    line: Line,
    payment: OurPayment | None,
    refunds: dict[str, list[OurRefund]],
    earlier: Sequence[ReconciliationLine],
    *,
    is_foreign: bool,
) -> ReconciliationLine | None:
    """Return the compared line, None for one that an earlier file had."""
    imported = comparison.settlement
    is_repeated = comparison.repeats(line, earlier)
    if is_repeated and (is_foreign or line.gateway_id):
        comparison.known += 1
        return None
    numbers = {other.gateway_id for other in earlier}
    is_again = line.gateway_id in numbers if line.gateway_id else is_repeated
    is_refund = line.kind is LineKind.REFUND
    refund = take_refund(line, refunds, repeated=is_again) if is_refund else None
    compared = reconciliation_line(
        line, payment, refund, earlier, settlement_id=imported.id, foreign=is_foreign
    )
    return await _count(comparison, compared, where=f"line {line.number} of {imported.name}")


async def _count(
    comparison: _Comparison, line: ReconciliationLine, *, where: str
) -> ReconciliationLine:
    """Count a line by its result, and open a case for a difference that has none yet."""
    comparison.results[line.result] += 1
    if line.result in RESULTS_WITHOUT_CASE or line.case_id is not None:
        return line
    number = "" if line.gateway_id is None else f" ({line.gateway_id})"
    new_case = NewCase(
        kind=CaseKind.SETTLEMENT,
        payment=await payments.by_id(line.payment_id) if line.payment_id else None,
        gateway=comparison.settlement.gateway,
        amount=disputed_amount(line),
        reversal_id=line.reversal_id,
        about=f"{line.result}: {line.kind.lower()} {line.reference}{number}, {where}",
    )
    case = await open_case(comparison.context, new_case, comparison.settlement.imported_at)
    comparison.cases += 1
    return replace(line, case_id=case.id)


async def _audit(context: Context, imported: Settlement, result: ImportSummary) -> None:
    await audit.append(
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
                "lines": result.lines,
                "known": result.known_lines,
                "results": {str(kind): count for kind, count in result.results.items()},
                "cases": result.cases,
            },
        )
    )
