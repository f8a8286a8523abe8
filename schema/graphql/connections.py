"""Pages of a list: `Connection[Case]` becomes the GraphQL types `CaseConnection` and `CaseEdge`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry

from resolvers.pages import Page

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 50


@strawberry.type
class PageInfo:
    has_next_page: bool
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
        last = self.page.rows[-1:]
        return PageInfo(
            has_next_page=self.page.has_next,
            end_cursor=self.page.cursor(last[0]) if last else None,
        )
