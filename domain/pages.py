"""Which part of an ordered list a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Key = Sequence[object]
"""What a list is ordered by: the columns' values of one row, unique among its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRange:
    """
    Up to *size* rows between two keys, which are excluded themselves.

    With `backward` they are the last rows of the range, otherwise the first.
    """

    size: int
    after: Key | None = None
    before: Key | None = None
    backward: bool = False
