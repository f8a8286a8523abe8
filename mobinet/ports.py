"""Whether a port can be had, and if not, who has it."""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"


def is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def holder(port: int) -> str | None:
    """The program that listens there, as `name, process 123`; None where the system does not tell."""
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    for handle in Path("/proc").glob("[0-9]*/fd/*") if wanted else ():
        with contextlib.suppress(OSError):
            if str(handle.readlink()) in wanted:
                process = handle.parents[1]
                return f"{(process / 'comm').read_text().strip()}, process {process.name}"
    return None


def _listening(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                (
                    _,
                    local,
                    _,
                    state,
                    *_,
                ) = fields = re.split(r"\s+", line.strip())
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield fields[9]
