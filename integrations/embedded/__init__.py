"""PostgreSQL and Valkey from wheels, for a machine that has neither: started by the first who needs them, gone with the last."""

from integrations.embedded.process import die_with_parent
from integrations.embedded.servers import EmbeddedError, Servers, attach, gone, servers

__all__ = ["EmbeddedError", "Servers", "attach", "die_with_parent", "gone", "servers"]
