"""A chart of each row's ratio to the pinned commit, with its goal."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from benchmarks.report.ratios import PINNED, RowResult, Spread
from benchmarks.report.table import number
from benchmarks.row import Metric

_LEFT, _RIGHT, _LINE = 330, 90, 26
_WIDTH = 860
_MAX_RATIO = 32.0
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.bar{fill:#2da44e}.short{fill:#bf8700}"
    ".goal{stroke:#cf222e;stroke-width:2}.axis{stroke:#d0d7de}"
)


def draw(results: Sequence[RowResult]) -> str:
    """Return an SVG with a bar for each metric whose goal is a ratio, on a logarithmic scale."""
    bars = [
        (f"{result.row.key}: {metric.title}", metric, ratio)
        for result in results
        for metric in result.row.metrics
        if metric.goal and (metric.goal.first_half or metric.goal.second_half)
        and (ratio := result.times_better(metric, PINNED))
    ]  # fmt: skip
    height = 40 + _LINE * len(bars) + 30
    body = [_axis(height)]
    body += [_bar(nth, *bar) for nth, bar in enumerate(bars)]
    body.append(
        f'<text x="{_LEFT}" y="{height - 8}">times better than the pinned commit;'
        " the red line is the goal</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(body)
        + "</svg>\n"
    )


def _x(times: float) -> float:
    """Return the x position of a ratio; ratios below 1 are at the left edge."""
    part = math.log2(min(max(times, 1.0), _MAX_RATIO)) / math.log2(_MAX_RATIO)
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _axis(height: int) -> str:
    marks = (1, 2, 4, 8, 16, 32)
    lines = [
        f'<line class="axis" x1="{_x(mark):.0f}" x2="{_x(mark):.0f}" y1="30" y2="{height - 28}"/>'
        f'<text x="{_x(mark):.0f}" y="22" text-anchor="middle">{mark} ×</text>'
        for mark in marks
    ]
    return "".join(lines)


def _bar(nth: int, title: str, metric: Metric, ratio: Spread) -> str:
    top = 36 + nth * _LINE
    goal = metric.goal.first_half or metric.goal.second_half if metric.goal else None
    reached = goal is not None and ratio.median >= goal
    width = max(_x(ratio.median) - _LEFT, 1.0)
    parts = [
        f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{html.escape(title)}</text>',
        f'<rect class="{"bar" if reached else "short"}" x="{_LEFT}" y="{top}"'
        f' width="{width:.0f}" height="18"/>',
        f'<text x="{_LEFT + width + 8:.0f}" y="{top + 14}">{number(ratio.median)} ×</text>',
    ]
    if goal is not None:
        x = f"{_x(goal):.0f}"
        parts.append(f'<line class="goal" x1="{x}" x2="{x}" y1="{top - 2}" y2="{top + 20}"/>')
    return "".join(parts)
