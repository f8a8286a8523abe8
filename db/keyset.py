"""Cut a page from an ordered list by its keys, never by an offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.pages import PageRange

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keyset:
    """The columns that order a list; their values are its key."""

    columns: Sequence[str]
    descending: bool = True

    def conditions(self, page: PageRange, args: list[object]) -> list[str]:
        """Return the SQL conditions of a page, and append their arguments to *args*."""
        found = list[str]()
        for key, comparison in (
            (page.after, "<" if self.descending else ">"),
            (page.before, ">" if self.descending else "<"),
        ):
            if key is not None:
                parameters = ", ".join(f"${len(args) + n}" for n in range(1, len(key) + 1))
                found.append(f"({', '.join(self.columns)}) {comparison} ({parameters})")
                args += key
        return found

    def order(self, page: PageRange, args: list[object]) -> str:
        """Return ORDER BY and LIMIT of a page; a backward one is read from its end."""
        direction = "desc" if self.descending is not page.backward else "asc"
        args.append(page.size)
        keys = ", ".join(f"{column} {direction}" for column in self.columns)
        return f"order by {keys} limit ${len(args)}"


def in_order(rows: Sequence[T], page: PageRange) -> list[T]:
    """Return the rows of a page in the list's order."""
    return list(reversed(rows)) if page.backward else list(rows)
