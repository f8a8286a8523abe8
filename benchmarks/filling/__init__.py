"""Databases filled with valid payments.

`benchmarks.filling.fill` has this name in every measured source tree, the pinned one included.
"""

from __future__ import annotations

from benchmarks.filling.database import fill

__all__ = ["fill"]
