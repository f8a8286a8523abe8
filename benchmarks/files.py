"""How many files this process and its children may have open: as many as a storm needs."""

from __future__ import annotations

import resource

_FILES = 20_000


def allow_files() -> None:
    """Raise the limit as far as this user may, up to what a storm needs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
