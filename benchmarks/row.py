"""A row of the table: its measurement, its metrics, its goals and its comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.client.loads import Outcome
from benchmarks.stack import PARTS, Stack
from benchmarks.supply import Supply


class NotMeasured(Exception):
    """A row, a limit or a peer cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The size and length of a run."""

    rounds: int = 5
    seconds: float = 4.0
    """Of each load, without the following drain."""
    minutes: float = 45.0
    """No round begins later."""
    seeded: int = 10_000
    """Payments in each database before the first measurement."""
    warm_up: int = 300
    """Payments made before the first measurement."""
    sockets: int = 1000
    verified: int = 100_000
    growth: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a metric should reach; a ratio of 3 means three times better."""

    words: str
    first_half: float | None = None
    """The goal's ratio to the pinned commit after the first half of the work."""
    second_half: float | None = None
    """The goal's ratio to the pinned commit after the second half."""
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    """The goal's ratio to each limit or peer."""
    pinned_range: tuple[float, float] | None = None
    """The pinned commit's values where the goals were set; on other machines only ratios count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    key: str
    title: str
    unit: str
    more_is_better: bool = False
    compared: bool = True
    """False for what says nothing about Mobinet, such as the load client's CPU."""
    goal: Goal | None = None


@dataclass(slots=True)
class Sample:
    """One measurement: values by the metrics' keys, and errors by kind."""

    values: dict[str, float]
    errors: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True)
class Target:
    """A running stack and the supply of its loads."""

    stack: Stack
    supply: Supply
    options: Options
    rates: dict[str, float] = field(default_factory=dict[str, float])
    """Operations a second in the last load of each kind, from which stocks are sized."""
    best_clients: int | None = None
    """The number of clients with the most whole cash payments; None before the first round."""


Measure = Callable[[Target], Awaitable[Sample]]
"""Measures a stack; limits and peers get our stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    key: str
    group: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Measure
    limits: Mapping[str, Measure] = field(default_factory=dict[str, Measure])
    """Limits and peers by name; they give values for some of the metrics."""
    worker: bool = False
    """Whether the worker runs during the measurement."""
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
    """Return the CPU milliseconds per finished operation, by part."""
    count = max(outcome.done, 1)
    parts = {part: 1000 * (after[part] - before[part]) / count for part in after if part in before}
    return parts | {"cpu": sum(parts.values()), "client": 1000 * outcome.client_cpu / count}
