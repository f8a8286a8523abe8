"""
Databases filled with valid payments.

Every measured source tree, also the pinned one, has the function `benchmarks.filling.fill`.
"""

from __future__ import annotations

from benchmarks.filling.database import fill

__all__ = ["fill"]
