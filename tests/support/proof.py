"""
What proofs by force have in common: the seed that they draw by, and how much of all they do.

`make test` draws a share; `make crash` does all of it. The seed is one for the whole session, shown at its
beginning; PROOF_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("PROOF") == "all"
# Set for the processes that pytest starts as well: they must draw the same tests.
SEED = int(os.environ.setdefault("PROOF_SEED", str(secrets.randbelow(10**6))))
REPEAT = f"PROOF_SEED={SEED} repeats it"


def dice(*about: object) -> random.Random:
    return random.Random(" ".join(map(str, (SEED, *about))))


def share(several: Sequence[T], most: int, *about: object) -> list[T]:
    """Return *most* of them, drawn; in the order in which they stand. All, where all is asked for."""
    if ALL or most >= len(several):
        return list(several)
    drawn = sorted(dice(*about).sample(range(len(several)), most))
    return [several[nth] for nth in drawn]
