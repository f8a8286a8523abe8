"""The table of a run, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.report.machine import Machine
from benchmarks.report.ratios import OURS, PINNED, RowResult, Spread, verdict
from benchmarks.row import Metric

_HEAD = (
    "",
    "ours",
    "pinned",
    "times better",
    "beside others",
    "goal, after first and second half",
    "",
)


def number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, digits):,.{min(digits, 3)}f}"


def cells(result: RowResult, metric: Metric) -> tuple[str, ...]:
    """Return a metric's line of the table."""
    ours, pinned = result.value(OURS, metric), result.value(PINNED, metric)
    return (
        f"{metric.title}",
        _value(ours, metric),
        _value(pinned, metric),
        _ratio(result.times_better(metric, PINNED)),
        "; ".join(_beside(result, metric)),
        metric.goal.words if metric.goal else "",
        verdict(result, metric),
    )


def terminal(results: Sequence[RowResult]) -> str:
    """Return the whole table as text: a block for each row, with its notes."""
    blocks = [(result, [cells(result, each) for each in _shown(result)]) for result in results]
    table = [_HEAD, *(line for _, lines in blocks for line in lines)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    text = [_padded(_HEAD, widths)]
    for result, lines in blocks:
        text += ["", result.row.title]
        text += [_padded(line, widths) for line in lines]
        text += [f"  {note}" for note in notes(result)]
    return "\n".join(text)


def page(results: Sequence[RowResult], machine: Machine, command: str, proof: str) -> str:
    """Return docs/benchmarks.md."""
    lines = [
        "# How fast it is",
        "",
        "`make bench` wrote this page. *Ours* is this source tree, *pinned* is commit 14d14ad on",
        "servers of the same kind, measured in turns within one run. *Times better* is the median",
        "of the rounds' ratios, with the smallest and the largest; only ratios compare across",
        "machines. CPU is the operating system's figure for each part, without the load client.",
        "[benchmarks/README.md](../benchmarks/README.md) explains each row.",
        "",
        *(f"- {line}" for line in machine.lines),
        f"- measured by `{command}`",
        f"- {proof}",
        "",
        "![How many times better than the pinned commit](benchmarks.svg)",
    ]
    for result in results:
        lines += ["", f"## {result.row.title}", ""]
        shown = [cells(result, each) for each in _shown(result)]
        if shown:
            lines += [_markdown(_HEAD), "|" + "---|" * len(_HEAD), *map(_markdown, shown)]
        if found := notes(result):
            lines += ["", *(f"- {note}" for note in found)]
    return "\n".join(lines) + "\n"


def notes(result: RowResult) -> list[str]:
    """Return a row's errors, and the reasons for what was not measured."""
    found = [f"{name} was not measured: {why}" for name, why in result.reasons.items()]
    for metric in result.row.metrics:
        today = metric.goal.pinned_range if metric.goal else None
        pinned = result.value(PINNED, metric)
        if today and pinned and not is_reproduced(pinned.median, today):
            found.append(
                f"{metric.title}: pinned did {today[0]:g}–{today[1]:g} where the goals were set,"
                " so only the ratio counts here"
            )
    for name in result.samples:
        if errors := result.errors(name):
            counts = ", ".join(f"{count} × {kind}" for kind, count in errors.most_common(4))
            found.append(f"{name}: {counts}")
    return found


def is_reproduced(value: float, today: tuple[float, float]) -> bool:
    """Return whether a value is within 35 % of the pinned values where the goals were set."""
    return today[0] / 1.35 <= value <= today[1] * 1.35


def _shown(result: RowResult) -> list[Metric]:
    return [
        metric
        for metric in result.row.metrics
        if any(result.value(name, metric) for name in result.samples)
    ]


def _value(found: Spread | None, metric: Metric) -> str:
    if found is None:
        return "–"
    unit = metric.unit if metric.unit.startswith(("/", "%", "×")) else f" {metric.unit}"
    return f"{number(found.median)}{unit}".rstrip()


def _ratio(found: Spread | None) -> str:
    if found is None:
        return "–"
    if found.count == 1:
        return f"{number(found.median)} ×"
    return f"{number(found.median)} × ({number(found.low)}–{number(found.high)})"


def _beside(result: RowResult, metric: Metric) -> list[str]:
    found: list[str] = []
    for name in result.row.limits:
        value, ratio = result.value(name, metric), result.times_better(metric, name)
        if value is not None:
            times = f", {number(ratio.median)} ×" if ratio else ""
            found.append(f"{name} {_value(value, metric)}{times}")
    return found


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _markdown(line: Sequence[str]) -> str:
    return "| " + " | ".join(line) + " |"
