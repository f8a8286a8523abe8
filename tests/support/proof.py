"""
The seed of the randomised tests, and the share of their cases that a run draws.

`make test` draws a share, `make crash` runs all. A session has one seed, which its first lines
show; PROOF_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("PROOF") == "all"
# In the environment, so that the worker processes of pytest draw the same cases.
SEED = int(os.environ.setdefault("PROOF_SEED", str(secrets.randbelow(10**6))))
REPEAT = f"PROOF_SEED={SEED} repeats it"


def dice(*about: object) -> random.Random:
    """Return a generator that depends on the seed and on *about*."""
    return random.Random(" ".join(map(str, (SEED, *about))))


def share(cases: Sequence[T], count: int, *about: object) -> list[T]:
    """Return *count* of the cases, drawn, in their order; all of them where PROOF is "all"."""
    if ALL or count >= len(cases):
        return list(cases)
    drawn = sorted(dice(*about).sample(range(len(cases)), count))
    return [cases[index] for index in drawn]
