"""Races run on the house of tests/resolvers: its own loop, a gateway that says what it is told to."""

from tests.unit.resolvers.conftest import backend

__all__ = ["backend"]
