"""The limit of open files of this process and its children."""

from __future__ import annotations

import resource

_MAX_FILES = 20_000


def allow_files() -> None:
    """Raise the limit as far as this user may, up to what a thousand connections need."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_FILES if maximum == resource.RLIM_INFINITY else min(_MAX_FILES, maximum)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, maximum))
