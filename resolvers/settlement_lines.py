"""The lines of a settlement file, in batches, and the lines of earlier files that they repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from db import settlement
from domain.methods import GatewayName
from domain.reconciliation import ReconciliationLine, repeated_by
from domain.settlement import Line, LineKind, OurRefund, refund_of

T = TypeVar("T")

BATCH = 1000  # lines in memory at a time

# The stored lines, by kind and reference.
EarlierLines = dict[tuple[LineKind, str], list[ReconciliationLine]]


def batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch


async def earlier_lines(gateway: GatewayName, references: Sequence[str]) -> EarlierLines:
    """Return the stored lines about these references."""
    found: EarlierLines = defaultdict(list)
    for line in await settlement.lines_of(gateway, references):
        found[line.kind, line.reference].append(line)
    return found


def repeats(line: Line, earlier: Iterable[ReconciliationLine], claimed: set[int]) -> bool:
    """Return whether an earlier file had *line*, and claim the line that it repeats."""
    repeated = repeated_by(line, earlier, claimed)
    if repeated is None or repeated.id is None:
        return False
    claimed.add(repeated.id)
    return True


def take_refund(
    line: Line, refunds: dict[str, list[OurRefund]], *, repeated: bool
) -> OurRefund | None:
    """Return the refund that *line* is about, and mark it as settled for the later lines."""
    ours = refunds.get(line.reference, [])
    refund = refund_of(line, ours, repeated=repeated)
    if refund is not None:
        ours[ours.index(refund)] = replace(refund, settled=True)
    return refund
