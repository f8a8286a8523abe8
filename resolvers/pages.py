"""Pages: how many rows at once, and the cursor behind which the next page begins. Cut by key, never by offset."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson

from domain.refusals import InvalidInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Rows of a list in its order, of which `key` tells each one's place."""

    rows: tuple[T, ...]
    has_next: bool
    key: Callable[[T], Iterable[object]]

    def cursor(self, row: T) -> str:
        return cursor(self.key(row))


def cut(found: Sequence[T], first: int, key: Callable[[T], Iterable[object]]) -> Page[T]:
    """Return the page of the *first* rows of what was *found*, where one more was asked for."""
    return Page(rows=tuple(found[:first]), has_next=len(found) > first, key=key)


def check_first(first: int, *, most: int) -> None:
    """Raise InvalidInput for a page of nothing, or of too much."""
    if not 1 <= first <= most:
        raise InvalidInput(
            field="first",
            problem_vi=f"phải từ 1 đến {most}.",
            problem_en=f"must be from 1 to {most}.",
        )


def cursor(key: Iterable[object]) -> str:
    """Return the key of a page's row as a client carries it to the next page."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()


def read(cursor: str, meaning: Callable[..., T]) -> T:
    """Return what *meaning* makes of a cursor's parts; raise InvalidInput where it is none of this list."""
    try:
        parts: list[Any] = orjson.loads(base64.urlsafe_b64decode(cursor))
        return meaning(*parts)
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise InvalidInput(
            field="after",
            problem_vi="con trỏ không hợp lệ cho danh sách này; hãy tải lại từ trang đầu.",
            problem_en="the cursor does not fit this list; load again from the first page.",
        ) from None


def by_time(at: str, id_: str) -> tuple[datetime, str]:
    """Return the key of a list that is ordered by a moment and an id."""
    return datetime.fromisoformat(at).astimezone(UTC), str(id_)
