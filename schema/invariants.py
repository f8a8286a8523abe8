"""The results of the last invariant checks."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import invariants
from resolvers import invariants as resolve
from schema.common import Info
from schema.graphql.publish import publishes


@publishes(
    invariants.Invariant,
    description="A rule that all stored data must satisfy. `violations` counts the rows that"
    " violate it; `mobinet verify` lists them.",
)
class Invariant:
    holds: bool
    violations: int
    checked_at: datetime

    @strawberry.field
    def name(self, root: strawberry.Parent[invariants.Invariant]) -> str:
        return root.name


@strawberry.type
class InvariantQuery:
    @strawberry.field(graphql_type=list[Invariant])
    async def invariants(self, info: Info) -> list[invariants.Invariant]:
        return await resolve.read(info.context)
