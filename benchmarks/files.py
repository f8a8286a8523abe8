"""How many files this process and its children may have open: as many as a storm needs."""

from __future__ import annotations

import resource

_MAX_FILES = 20_000


def allow_files() -> None:
    """Raise the limit as far as this user may, up to what a storm needs."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_FILES if maximum == resource.RLIM_INFINITY else min(_MAX_FILES, maximum)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, maximum))
