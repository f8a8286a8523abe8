"""The figures of a load: times by operation, errors by kind, and each intended payment."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One intended payment: its idempotency key, and its payment id where it was answered."""

    key: str
    method: str
    amount: int
    payment_id: str | None
    paid_by_customer: bool
    """Whether the sandbox confirmed that the customer has paid at the gateway."""


@dataclass(slots=True)
class Figures:
    """Seconds by operation, counts of errors, and the intended payments."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter[str])
    intents: list[Intent] = field(default_factory=list[Intent])
    visits: int = 0
    most_open: int = 0
    """The largest number of visits at the same time."""

    def note(self, operation: str, seconds: float) -> None:
        self.times[operation].append(seconds)

    def fail(self, operation: str, kind: str) -> None:
        self.errors[f"{operation}: {kind}"] += 1

    def table(self) -> str:
        """Return a table of the operations' times, in milliseconds, and the errors."""
        head = f"{'':<28}{'times':>8}" + "".join(f"{name + ' ms':>11}" for name, _ in QUANTILES)
        lines = [head]
        for operation, times in sorted(self.times.items()):
            ordered = sorted(times)
            quantiles = [
                ordered[min(len(ordered) - 1, int(part * len(ordered)))] for _, part in QUANTILES
            ]
            shown = "".join(f"{1000 * value:>11,.0f}" for value in quantiles)
            lines.append(f"{operation:<28}{len(ordered):>8,}{shown}")
        if self.errors:
            lines += ["", "errors"]
            lines += [f"{count:>8,} × {kind}" for kind, count in self.errors.most_common()]
        return "\n".join(lines)
