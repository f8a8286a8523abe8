"""Resolvers in the test's own loop, over real systems and a gateway that the test controls."""

from __future__ import annotations

from tests.support.backend import backend

__all__ = ["backend"]
