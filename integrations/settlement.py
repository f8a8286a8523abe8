"""
Strict reading of a settlement file: one unreadable value makes the whole file unreadable.

On an account that we share, another program's line may be unreadable: it is a ForeignLine.

CSV in UTF-8 with the header `reference,gateway_id,kind,amount,currency,status,at`. It lists money
that moved, so its only status is `success`. `at` carries its offset from UTC. Empty lines may end
the file, also of separators alone, a byte order mark or a control-Z, as some exports leave there;
an empty line in the middle is refused, because a line may be missing there.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from domain.calendar import business_date
from domain.identifiers import folded
from domain.money import Currency, Money
from domain.settlement import ForeignLine, Line, LineKind
from integrations.amounts import whole_number

COLUMNS = ("reference", "gateway_id", "kind", "amount", "currency", "status", "at")

_MAX_NAME = 128  # characters
_NAME_RULE = f"must be 1 to {_MAX_NAME} printable characters without blanks around them"
_MOVED = "success"

_SEPARATORS_AND_END = ";\x1a"

Value = TypeVar("Value")


class BadFile(Exception):
    """The file cannot be read. Nothing of it was imported."""


def digest(path: Path, day: date | None) -> bytes:
    """Return the hash that identifies a file. It includes *day*, because empty files are equal."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256")
    sha256.update(b"" if day is None else f"\n{day}".encode())
    return sha256.digest()


def read(
    path: Path, *, today: date, is_foreign: Callable[[str], bool] | None = None
) -> Iterator[Line | ForeignLine]:
    """
    Yield each line of the file without holding the others in memory. Raises BadFile, OSError.

    `today` is the last day that a line may be of. `is_foreign` says of a reference whether it is
    another program's, on an account that we share; such a line may be unreadable, or of a later
    day. There a line without a reference has its gateway id as reference.
    """
    # Bytes that are not UTF-8 become lone surrogates, so that the error can name their cell.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            _check_header(next(rows, None))
            empty: tuple[int, Sequence[str]] | None = None
            for row in rows:
                if _is_empty(row):
                    empty = empty or (rows.line_num, row)
                    continue
                if empty is not None:
                    _cells(*empty)  # always raises, and names the empty line
                yield _read_line(rows.line_num, row, today=today, is_foreign=is_foreign)
        except csv.Error as error:
            raise BadFile(f"line {rows.line_num}: {error}") from None


def _check_header(row: Sequence[str] | None) -> None:
    if row is None or tuple(row) != COLUMNS:
        raise BadFile(f"line 1: the header must be {','.join(COLUMNS)}")


def _read_line(
    number: int, row: Sequence[str], *, today: date, is_foreign: Callable[[str], bool] | None
) -> Line | ForeignLine:
    cells = _cells(number, row)
    if is_foreign is not None and not cells["reference"]:
        cells["reference"] = cells["gateway_id"]
    if is_foreign is None or not is_foreign(cells["reference"]):
        return _line(number, cells, today)
    try:
        return _line(number, cells, date.max)
    except BadFile as error:
        return _foreign_line(number, cells, problem=str(error))


def _cells(number: int, row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(COLUMNS):
        raise BadFile(
            f"line {number}: {len(COLUMNS)} columns are expected, and {len(row)} are there"
        )
    cells: dict[str, str] = dict(zip(COLUMNS, row, strict=True))
    if _is_empty(row):
        raise BadFile(f"line {number}, column reference: {_NAME_RULE}")
    return cells


def _is_empty(row: Sequence[str]) -> bool:
    return not any(folded(cell).strip(_SEPARATORS_AND_END) for cell in row)


def _line(number: int, cells: dict[str, str], today: date) -> Line:
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
        at=cell("at", lambda text: _moment(text, today)),
    )


def _foreign_line(number: int, cells: dict[str, str], *, problem: str) -> ForeignLine:
    """Return what can be read of another program's line."""

    def cell(column: str, read: Callable[[str], Value]) -> Value | None:
        try:
            return read(cells[column])
        except ValueError:
            return None

    moved = cells["status"] == _MOVED
    currency = cell("currency", _currency)
    at = cell("at", lambda text: _moment(text, date.max))
    return ForeignLine(
        number=number,
        problem=problem,
        digest=hashlib.sha256(repr(tuple(cells.values())).encode()).digest(),
        reference=_printable(cells["reference"]),
        gateway_id=_printable(cells["gateway_id"]),
        kind=cell("kind", _kind),
        amount=cell("amount", _amount) if moved and currency else None,
        currency=currency,
        day=business_date(at) if at else None,
    )


def _printable(text: str) -> str:
    """Return *text* as the database can hold it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_NAME])


def _is_clean(text: str) -> bool:
    """Return whether *text* is printable without blanks around it, of any length but empty."""
    return bool(text) and text.isprintable() and text == text.strip()


def _name(text: str) -> str:
    if not _is_clean(text) or len(text) > _MAX_NAME:
        raise ValueError(_NAME_RULE)
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
    if text != _MOVED:
        raise ValueError("must be success: a settlement file lists money that moved")


def _moment(text: str, today: date) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        moment = moment.astimezone(UTC)
        day = business_date(moment)
    except (ValueError, OverflowError):
        raise ValueError("must be like 2026-03-04T12:06:07+07:00") from None
    if day > today:
        raise ValueError(f"{day} has not come yet")
    return moment
