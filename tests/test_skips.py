"""The end of a run names what it skipped, with one line for each reason."""

from __future__ import annotations

import pytest

from tests.support.skips import skip_lines


def skipped(name: str, reason: str) -> pytest.TestReport:
    where = ("tests/test_x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport(name, ("tests/test_x.py", 1, name), {}, "skipped", where, "setup")


def test_each_reason_has_one_line_with_its_number_of_tests() -> None:
    reports = [skipped("a", "npm is missing"), skipped("b", "not root"), skipped("c", "not root")]
    assert skip_lines(reports) == ["2 skipped: not root", "1 skipped: npm is missing"]


def test_a_run_that_skips_nothing_has_no_line() -> None:
    assert skip_lines([]) == []
