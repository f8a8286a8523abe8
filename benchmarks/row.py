"""What a row of the table is: what it measures of a stack, what it is compared with, and what it should reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.client.loads import Outcome
from benchmarks.stack import PARTS, Stack
from benchmarks.supply import Supply


class NotMeasured(Exception):
    """The text says why a row, a limit or a peer cannot be measured here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how much is measured."""

    rounds: int = 5
    seconds: float = 4.0
    """Of each load; a drain comes on top."""
    minutes: float = 45.0
    """After these no further round begins."""
    seeded: int = 10_000
    """Payments that each database holds before anything is measured."""
    warm_up: int = 300
    """Payments before the first measured one."""
    sockets: int = 1000
    verified: int = 100_000
    growth: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a metric should reach; a ratio of 3 means three times better, whichever way is better."""

    words: str
    first_half: float | None = None
    """The ratio to pinned after the first half."""
    second_half: float | None = None
    """The ratio to pinned after the second half."""
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    """The ratio to each limit or peer."""
    pinned_range: tuple[float, float] | None = None
    """What pinned did on the machine of the goals: elsewhere only ratios count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    key: str
    title: str
    unit: str
    more_is_better: bool = False
    compared: bool = True
    """Whether it says anything of us: what the load client needs does not."""
    goal: Goal | None = None


@dataclass(slots=True)
class Sample:
    """One measurement: values by the keys of the metrics, and what went wrong meanwhile."""

    values: dict[str, float]
    errors: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True)
class Target:
    """A stack that is measured, and what its loads use up."""

    stack: Stack
    supply: Supply
    options: Options
    rates: dict[str, float] = field(default_factory=dict[str, float])
    """How many a second the last load of each kind came to; stocks are sized by it."""
    best_clients: int | None = None
    """The count of clients that does most whole cash payments; None before it is known."""


Measure = Callable[[Target], Awaitable[Sample]]
"""Measures a stack; a limit or a peer is given the subject *ours*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    key: str
    group: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Measure
    limits: Mapping[str, Measure] = field(default_factory=dict[str, Measure])
    """Limits and peers by their names: they give values for some of the metrics."""
    worker: bool = False
    """Whether the worker runs meanwhile."""
    only_ours: bool = False
    max_rounds: int | None = None


CLIENT = Metric(key="client", title="CPU: load client", unit="ms", compared=False)


def cpu_metrics(goal: Goal | None = None) -> tuple[Metric, ...]:
    """Return the metrics of CPU time: all parts, each part, and the load client."""
    return (
        Metric(key="cpu", title="CPU of all parts", unit="ms", goal=goal),
        *(Metric(key=part, title=f"CPU: {part}", unit="ms") for part in PARTS),
        CLIENT,
    )


def cpu_values(
    before: Mapping[str, float], after: Mapping[str, float], outcome: Outcome
) -> dict[str, float]:
    """Return the CPU milliseconds that each finished operation took, by part."""
    count = max(outcome.done, 1)
    parts = {part: 1000 * (after[part] - before[part]) / count for part in after if part in before}
    return parts | {"cpu": sum(parts.values()), "client": 1000 * outcome.client_cpu / count}
