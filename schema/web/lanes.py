"""
The lanes of an API process: what waits in which line when there is too much to do.

Reads must not hold up what ends a payment well: webhooks, cancellations, verifications and renewed
tokens have lanes of their own. Health, metrics and keys wait for nothing, and the worker is a
process of its own.
"""

from __future__ import annotations

from typing import Final

from graphql import OperationType

from schema.graphql.admission import Lane, LaneSize
from schema.graphql.engine import Operation

URGENT: Final = frozenset({"cancelPayment", "verifyPayment", "refreshSession", "logout"})
"""The mutations that end or settle something which has already begun."""


class Lanes:
    def __init__(self) -> None:
        self.reads = Lane("reads", LaneSize(places=128, line=1_000))
        self.writes = Lane("writes", LaneSize(places=128, line=1_000))
        self.urgent = Lane("urgent", LaneSize(places=64, line=1_000))
        self.webhooks = Lane("webhooks", LaneSize(places=64, line=2_000))
        self.logins = Lane("logins", LaneSize(places=64, line=2_000))
        """Sockets before their `connection_ack`."""

    def of(self, operation: Operation) -> Lane:
        """Return the lane of a GraphQL operation."""
        if operation.type is not OperationType.MUTATION:
            return self.reads
        return self.urgent if operation.root_names <= URGENT else self.writes
