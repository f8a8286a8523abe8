"""
Strict reading of a settlement file: one unreadable value makes the whole file unreadable.

CSV in UTF-8 with the header `reference,gateway_id,kind,amount,currency,status,at`. It lists money
that moved, so its only status is `success`. `at` carries its offset from UTC. Empty lines may end
the file; an empty line in the middle is refused, because a line may be missing there.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from domain.money import Currency, Money
from domain.settlement import Line, LineKind
from integrations.amounts import whole_number

COLUMNS = ("reference", "gateway_id", "kind", "amount", "currency", "status", "at")

Value = TypeVar("Value")


class BadFile(Exception):
    """The file cannot be read. Nothing of it was imported."""


def digest(path: Path, day: date | None) -> bytes:
    """Return the hash that identifies a file. It includes *day*, because empty files are equal."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256")
    sha256.update(b"" if day is None else f"\n{day}".encode())
    return sha256.digest()


def read(path: Path, *, shared: bool = False) -> Iterator[Line]:
    """
    Yield each line of the file without holding the others in memory. Raises BadFile, OSError.

    In the file of a `shared` account, a line without a reference has its gateway id as reference.
    """
    # Bytes that are not UTF-8 become lone surrogates, so that the error can name their cell.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            _check_header(next(rows, None))
            empty: tuple[int, Sequence[str]] | None = None
            for row in rows:
                if not any(cell.strip() for cell in row):
                    empty = empty or (rows.line_num, row)
                    continue
                if empty is not None:
                    _line(*empty)  # always raises, and names the empty line
                yield _line(rows.line_num, row, shared=shared)
        except csv.Error as error:
            raise BadFile(f"line {rows.line_num}: {error}") from None


def _check_header(row: Sequence[str] | None) -> None:
    if row is None or tuple(row) != COLUMNS:
        raise BadFile(f"line 1: the header must be {','.join(COLUMNS)}")


def _line(number: int, row: Sequence[str], *, shared: bool = False) -> Line:
    if len(row) != len(COLUMNS):
        raise BadFile(
            f"line {number}: {len(COLUMNS)} columns are expected, and {len(row)} are there"
        )
    cells: dict[str, str] = dict(zip(COLUMNS, row, strict=True))
    if shared and not cells["reference"]:
        cells["reference"] = cells["gateway_id"]

    def cell(column: str, read: Callable[[str], Value]) -> Value:
        try:
            return read(cells[column])
        except ValueError as error:
            raise BadFile(f"line {number}, column {column}: {error}") from None

    reference = cell("reference", _name)
    gateway_id = cell("gateway_id", lambda text: _name(text) if text else None)
    kind = cell("kind", _kind)
    amount = cell("amount", _amount)
    currency = cell("currency", _currency)
    cell("status", _check_status)
    return Line(
        number=number,
        kind=kind,
        reference=reference,
        gateway_id=gateway_id,
        money=Money(amount, currency),
        at=cell("at", _moment),
    )


def _name(text: str) -> str:
    if not (0 < len(text) <= 128 and text.isprintable() and text == text.strip()):
        raise ValueError("must be 1 to 128 printable characters without blanks around them")
    return text


def _kind(text: str) -> LineKind:
    if text not in {"payment", "refund"}:
        raise ValueError("must be payment or refund")
    return LineKind(text.upper())


def _amount(text: str) -> int:
    amount = whole_number(text)
    if not amount:
        raise ValueError(
            "must be digits, or digits with .0 or .00: a positive whole number of the minor unit"
        )
    return amount


def _currency(text: str) -> Currency:
    if text not in set(Currency):
        raise ValueError(f"must be one of {', '.join(Currency)}")
    return Currency(text)


def _check_status(text: str) -> None:
    if text != "success":
        raise ValueError("must be success: a settlement file lists money that moved")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be like 2026-03-04T12:06:07+07:00") from None
