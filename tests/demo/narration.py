"""Prints the steps of the demo with their milliseconds, in colour on a terminal or FORCE_COLOR."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import segno

Json = dict[str, Any]

VIETNAM = timezone(timedelta(hours=7))
IN_COLOUR = "NO_COLOR" not in os.environ and (sys.stdout.isatty() or "FORCE_COLOR" in os.environ)
COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2", "paper": "30;107"}


class Story:
    def __init__(self) -> None:
        self.at = "the beginning"
        self._started = time.perf_counter()
        self._notes: list[str] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.at, self._notes = title, []
        started = time.perf_counter()
        yield
        duration = f"{(time.perf_counter() - started) * 1000:,.0f} ms".replace(",", " ")
        say(f"{paint('green', '✓')} {title:<62}{paint('dim', duration.rjust(10))}")
        for line in self._notes:
            say(f"    {line}")

    def note(self, line: str) -> None:
        self._notes.append(line)

    def duration(self) -> str:
        return paint("dim", f"{time.perf_counter() - self._started:.1f} s")


def say(text: str) -> None:
    print(text, flush=True)


def paint(colour: str, text: str) -> str:
    return f"\033[{COLOURS[colour]}m{text}\033[0m" if IN_COLOUR else text


def status(payment: Json) -> str:
    colour = {"SUCCESS": "green", "PROCESSING": "yellow"}.get(payment["status"], "red")
    return paint(colour, payment["status"])


def dong(amount: int) -> str:
    return f"{amount:,} đ".replace(",", ".")


def clock(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(VIETNAM):%H:%M:%S}"


def drawn(payload: str) -> str:
    """Return the QR as text, with two of its rows in each line."""
    rows = [list(row) for row in segno.make(payload, error="l", micro=False).matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    lines = (
        "".join(" ▄▀█"[2 * bool(upper) + bool(lower)] for upper, lower in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(f"    {paint('paper', line)}" for line in lines)
