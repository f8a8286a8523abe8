"""Pages of a list: `Connection[Case]` becomes the GraphQL types `CaseConnection` and `CaseEdge`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry

from resolvers.pages import Page

T = TypeVar("T")


@strawberry.type(
    description="The place of a page in its list. Rows on the far side of the cursor that was sent"
    " are not searched: the cursor's own row is known to be there."
)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    page: strawberry.Private[Page[Any]]

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        return [Edge(cursor=self.page.cursor(row), node=row) for row in self.page.rows]

    @strawberry.field
    def page_info(self) -> PageInfo:
        cursors = [self.page.cursor(row) for row in (*self.page.rows[:1], *self.page.rows[-1:])]
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
