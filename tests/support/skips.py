"""What a run has skipped and why, with one line for each reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest


def skip_lines(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """Return one line for each reason, with the number of tests that it has skipped."""
    reasons = Counter(_reason(report) for report in reports)
    return [f"{count} skipped: {reason}" for reason, count in reasons.most_common()]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
