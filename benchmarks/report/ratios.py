"""Results over several rounds: medians, and ratios between stacks."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.row import Metric, Row, Sample

OURS, PINNED = "ours", "pinned"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, smallest and largest of some values."""

    median: float
    low: float
    high: float
    count: int


@dataclass(slots=True)
class RowResult:
    """All samples of a row by stack, limit or peer; None where a round has no sample."""

    row: Row
    samples: dict[str, list[Sample | None]] = field(default_factory=dict[str, list[Sample | None]])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """Why a stack, limit or peer was not measured, by its name."""

    def add(self, name: str, sample: Sample | None) -> None:
        self.samples.setdefault(name, []).append(sample)

    def value(self, name: str, metric: Metric) -> Spread | None:
        values = (sample.values.get(metric.key) for sample in self._of(name) if sample)
        return spread(value for value in values if value is not None)

    def times_better(self, metric: Metric, other: str) -> Spread | None:
        """Return how many times better our stack is than *other*, from each round's ratio."""
        ratios: list[float] = []
        if not metric.compared:
            return None
        for mine, theirs in zip(self._of(OURS), self._of(other), strict=False):
            if mine is None or theirs is None:
                continue
            ours, its = mine.values.get(metric.key), theirs.values.get(metric.key)
            if ours is not None and its is not None and ours > 0 and its > 0:
                ratios.append(ours / its if metric.more_is_better else its / ours)
        return spread(ratios)

    def errors(self, name: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for sample in self._of(name):
            if sample is not None:
                found += sample.errors
        return found

    def _of(self, name: str) -> Sequence[Sample | None]:
        return self.samples.get(name, [])


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of the finite values, or None where there are none."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known), len(known))


def verdict(result: RowResult, metric: Metric) -> str:
    """Return which goal a metric reaches by its ratios; empty where no ratio is a goal."""
    goal = metric.goal
    if goal is None or (goal.first_half is None and goal.second_half is None and not goal.limits):
        return ""
    ratio = result.times_better(metric, PINNED)
    others = {name: result.times_better(metric, name) for name in goal.limits}
    if any(found is None for found in others.values()):
        others = {name: found for name, found in others.items() if found is not None}
    limits = all(found.median >= goal.limits[name] for name, found in others.items() if found)
    if goal.first_half is None and goal.second_half is None:
        return ("reached" if limits else "short") if others else ""
    if ratio is None:
        return ""
    if goal.second_half is not None and ratio.median >= goal.second_half and limits:
        return "reached"
    if goal.first_half is None:
        return "not yet"
    return "first half" if ratio.median >= goal.first_half else "short"
