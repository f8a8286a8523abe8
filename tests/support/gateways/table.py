"""The table gateways × cases: made of what tests say that they show, printed by `make gateways`, and whole or explained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

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
CALLS_NOBODY = "a bank is asked nothing, so no request of ours can go wrong; test_bank.py"
NO_CURRENCY = "its calls name none: whoever signs them moves đồng only"
NO_TIME = "its signature holds no time: what is replayed is a duplicate, and booked once"
ONLY_MONEY = "it tells of money that came and of nothing else, so nothing can fail or undo it"
GIVES_NOTHING_BACK = (
    "a bank gives nothing back by itself: accounting pays what is decided; test_refunds.py"
)
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
        (name, case): GIVES_NOTHING_BACK
        for name in ("Casso", "Sepay")
        for case in ("refund", "refund declined", "refund unanswered")
    },
    **{
        (name, case): CALLS_NOBODY
        for name in ("Casso", "Sepay")
        for case in CASES[CASES.index("never opened") :]
    },
}
# What a cell does not say by itself.
NOTES = (
    "MoMo calls once only: that a lost call is found by a question is tests/api/payments/test_momo.py.",
    "Slowness and timeouts are seen with timeouts of 0.3 and 0.5 s, not with the 30 s of production.",
)


def case(name: str, *gateways: str) -> pytest.MarkDecorator:
    """Say which row a test fills: for the gateways that are named, or the one that it is parametrized by."""
    assert name in CASES, name
    return pytest.mark.case(name, *gateways)


_PARAMETERS = ("voice", "dialect", "teller")
_cells: dict[str, set[tuple[str, str]]] = defaultdict(set)
_passed: Counter[tuple[str, str]] = Counter()
_failed: Counter[tuple[str, str]] = Counter()


def cells_of(item: pytest.Item) -> Iterable[tuple[str, str]]:
    callspec = getattr(item, "callspec", None)
    given = callspec.params if callspec else {}
    by = [
        type(given[name]).__name__.removesuffix("Dialect") for name in _PARAMETERS if name in given
    ]
    for mark in item.iter_markers("case"):
        name, *gateways = mark.args
        for gateway in gateways or by:
            yield gateway, name


def complaints(items: Iterable[pytest.Item]) -> list[str]:
    """Return what is wrong with the table that *items*, all of them, would fill."""
    every = [(gateway, name) for name in CASES for gateway in GATEWAYS]
    run = {cell for item in items for cell in cells_of(item)}
    wrong = [f"{cell}: neither run nor explained" for cell in every if cell not in run | {*HOLES}]
    wrong += [f"{cell}: explained, and run all the same" for cell in HOLES if cell in run]
    wrong += [f"{cell}: in no row or column" for cell in run if cell not in every]
    return wrong


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        _cells[item.nodeid].update(cells_of(item))
    if wrong := complaints(session.items):
        raise pytest.UsageError("\n".join(wrong))


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
        at = (gateway, name)
        if at in HOLES:
            return f"({letters[HOLES[at]]})"
        return f"{_failed[at]} FAILED" if _failed[at] else str(_passed[at])

    write = terminalreporter.write_line
    terminalreporter.section("gateways × cases: how many tests passed")
    write(" " * width + "".join(f"{name:>9}" for name in GATEWAYS))
    for name in CASES:
        write(f"{name:<{width}}" + "".join(f"{cell(gateway, name):>9}" for gateway in GATEWAYS))
    for text, letter in letters.items():
        write(f"({letter}) {text}")
    for note in NOTES:
        write(note)
