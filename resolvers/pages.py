"""Pages of a list, cut by key and never by offset, and the cursor after which the next begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson

from domain.refusals import InvalidInput
from domain.sentences import InputProblem

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows of a list in its order; `key` returns the place of a row in that order."""

    rows: tuple[T, ...]
    has_next: bool
    key: Callable[[T], Iterable[object]]

    def cursor(self, row: T) -> str:
        return cursor(self.key(row))


def cut(found: Sequence[T], first: int, key: Callable[[T], Iterable[object]]) -> Page[T]:
    """Return a page of the first rows of *found*, which was read with one row more."""
    return Page(rows=tuple(found[:first]), has_next=len(found) > first, key=key)


def check_first(first: int, *, most: int) -> None:
    """Raise InvalidInput unless the page size is between 1 and *most*."""
    if not 1 <= first <= most:
        raise InvalidInput.because(InputProblem.PAGE_SIZE, field="first", most=most)


def cursor(key: Iterable[object]) -> str:
    """Return the key of a row as a client sends it for the next page."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def read(cursor: str, parse: Callable[..., T]) -> T:
    """Return the key in a cursor, made by *parse*. Raises InvalidInput if it is another list's."""
    try:
        parts: list[Any] = orjson.loads(base64.urlsafe_b64decode(cursor))
        return parse(*parts)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise InvalidInput.because(InputProblem.CURSOR, field="after") from None


def by_time(at: str, id_: str) -> tuple[datetime, str]:
    """Return the key of a list that is ordered by time and id."""
    return datetime.fromisoformat(at).astimezone(UTC), str(id_)
