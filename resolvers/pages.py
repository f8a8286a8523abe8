"""Pages of a list, cut by key and never by offset, and the cursor after which the next begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson

from domain.pages import Key, PageRange
from domain.refusals import InvalidInput
from domain.sentences import InputProblem

T = TypeVar("T")


MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """
    The arguments of a Relay connection: the first rows after a cursor, or the last before one.

    Neither `first` nor `last` means the first DEFAULT_PAGE_SIZE rows.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows of a list in its order; `key` returns the place of a row in that order."""

    rows: tuple[T, ...]
    has_next: bool
    has_previous: bool
    key: Callable[[T], Iterable[object]]

    def cursor(self, row: T) -> str:
        return cursor(self.key(row))


def page_range(request: PageRequest, parse: Callable[..., Key]) -> PageRange:
    """
    Return what to read for *request*: its rows, and one more that shows whether others follow.

    `parse` makes a key of the parts of a cursor. Raises InvalidInput.
    """
    field = "first" if request.last is None else "last"
    if request.first is not None and request.last is not None:
        raise InvalidInput.because(InputProblem.FIRST_AND_LAST, field=field)
    size = request.first if request.last is None else request.last
    size = DEFAULT_PAGE_SIZE if size is None else size
    check_size(size, field=field)
    return PageRange(
        size=size + 1,
        after=_read(request.after, parse, field="after"),
        before=_read(request.before, parse, field="before"),
        backward=request.last is not None,
    )


def check_size(size: int, *, field: str, most: int = MAX_PAGE_SIZE) -> None:
    """Raise InvalidInput unless the page size is between 1 and *most*."""
    if not 1 <= size <= most:
        raise InvalidInput.because(InputProblem.PAGE_SIZE, field=field, most=most)


def cut(found: Sequence[T], page: PageRange, key: Callable[[T], Iterable[object]]) -> Page[T]:
    """
    Return the page of rows that were read for *page*.

    A cursor's own row lies outside of the page, so rows exist on its side.
    """
    has_more = len(found) == page.size
    rows = found[: page.size - 1]
    if page.backward:
        rows = found[has_more:]
    return Page(
        rows=tuple(rows),
        has_next=page.before is not None or (has_more and not page.backward),
        has_previous=page.after is not None or (has_more and page.backward),
        key=key,
    )


def cursor(key: Iterable[object]) -> str:
    """Return the key of a row as a client sends it for the next page."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def _read(cursor: str | None, parse: Callable[..., Key], *, field: str) -> Key | None:
    """Return the key in a cursor. Raises InvalidInput if it is another list's."""
    if cursor is None:
        return None
    try:
        parts: list[Any] = orjson.loads(base64.urlsafe_b64decode(cursor))
        return parse(*parts)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise InvalidInput.because(InputProblem.CURSOR, field=field) from None


def by_time(at: str, id_: str) -> tuple[datetime, str]:
    """Return the key of a list that is ordered by time and id."""
    return datetime.fromisoformat(at).astimezone(UTC), str(id_)
