"""The table of gateways × cases that `make gateways` prints: each cell has tests or a reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TypeVar

import pytest

Caller = TypeVar("Caller")

GATEWAYS = ("VNPay", "FPTPay", "MoMo", "Stripe", "PayPal", "Casso", "Sepay")
CASES = (
    "success",
    "decline",
    "every class of code",
    "duplicate",
    "out of order",
    "before init",
    "forged",
    "replayed",
    "wrong amount",
    "amount notations",
    "wrong currency",
    "unknown reference",
    "foreign reference",
    "refund",
    "refund declined",
    "refund unanswered",
    "never opened",
    "timeout before processing",
    "timeout after processing",
    "500",
    "reset",
    "truncated",
    "slowness",
)
CALLS_NOTHING = "we send a bank no requests, so none can fail; test_bank.py"
NO_CURRENCY = "its calls name no currency: they are always about đồng"
NO_TIME = "its signature covers no time, so a replayed call is a duplicate and booked once"
ONLY_MONEY = "it reports only received money, so nothing can decline or undo a payment"
NO_REFUNDS = "a bank refunds nothing by itself: accounting pays the refunds; test_refunds.py"
HOLES: dict[tuple[str, str], str] = {
    ("VNPay", "replayed"): NO_TIME,
    ("MoMo", "replayed"): NO_TIME,
    **{(name, "wrong currency"): NO_CURRENCY for name in ("VNPay", "MoMo", "Casso", "Sepay")},
    **{
        (name, case): ONLY_MONEY
        for name in ("Casso", "Sepay")
        for case in ("decline", "out of order", "every class of code")
    },
    **{
        (name, case): NO_REFUNDS
        for name in ("Casso", "Sepay")
        for case in ("refund", "refund declined", "refund unanswered")
    },
    **{
        (name, case): CALLS_NOTHING
        for name in ("Casso", "Sepay")
        for case in CASES[CASES.index("never opened") :]
    },
}
# What the cells do not show.
NOTES = (
    "MoMo calls once: tests/api/payments/test_momo.py shows that an inquiry finds a lost call.",
    "Slowness and timeouts are tested with limits of 0.3 and 0.5 s, not with those of production.",
)


def case(name: str, *gateways: str) -> pytest.MarkDecorator:
    """Mark the row that a test fills, for *gateways* or the gateway of its parameters."""
    assert name in CASES, name
    return pytest.mark.case(name, *gateways)


def without_hole(name: str, callers: Iterable[Caller]) -> list[Caller]:
    """Return the callers whose gateway has no reason in HOLES against the case *name*."""
    assert name in CASES, name
    return [caller for caller in callers if (type(caller).__name__, name) not in HOLES]


_PARAMETERS = ("dialect", "caller")
_cells: dict[str, set[tuple[str, str]]] = defaultdict(set)
_passed: Counter[tuple[str, str]] = Counter()
_failed: Counter[tuple[str, str]] = Counter()


def cells_of(item: pytest.Item) -> Iterable[tuple[str, str]]:
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec else {}
    parametrized = [
        type(params[name]).__name__.removesuffix("Dialect")
        for name in _PARAMETERS
        if name in params
    ]
    for mark in item.iter_markers("case"):
        name, *gateways = mark.args
        for gateway in gateways or parametrized:
            yield gateway, name


def complaints(items: Iterable[pytest.Item]) -> list[str]:
    """Return the errors of the table that all *items* together fill."""
    cells = [(gateway, name) for name in CASES for gateway in GATEWAYS]
    run = {cell for item in items for cell in cells_of(item)}
    errors = [f"{cell}: neither run nor explained" for cell in cells if cell not in run | {*HOLES}]
    errors += [f"{cell}: explained, and run all the same" for cell in HOLES if cell in run]
    errors += [f"{cell}: in no row or column" for cell in run if cell not in cells]
    return errors


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        _cells[item.nodeid].update(cells_of(item))
    if errors := complaints(session.items):
        raise pytest.UsageError("\n".join(errors))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        for cell in _cells[report.nodeid]:
            (_passed if report.passed else _failed)[cell] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (_passed or _failed):
        return
    letters = {
        text: chr(ord("a") + number) for number, text in enumerate(dict.fromkeys(HOLES.values()))
    }
    width = max(map(len, CASES))

    def cell(gateway: str, name: str) -> str:
        key = (gateway, name)
        if key in HOLES:
            return f"({letters[HOLES[key]]})"
        return f"{_failed[key]} FAILED" if _failed[key] else str(_passed[key])

    write = terminalreporter.write_line
    terminalreporter.section("gateways × cases: how many tests passed")
    write(" " * width + "".join(f"{name:>9}" for name in GATEWAYS))
    for name in CASES:
        write(f"{name:<{width}}" + "".join(f"{cell(gateway, name):>9}" for gateway in GATEWAYS))
    for text, letter in letters.items():
        write(f"({letter}) {text}")
    for note in NOTES:
        write(note)
