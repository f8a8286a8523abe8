"""The resolvers run in the test's own loop, over real systems and a gateway that the test steers."""

from __future__ import annotations

from tests.support.backend import backend

__all__ = ["backend"]
