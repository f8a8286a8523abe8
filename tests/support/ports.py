"""The ports of the API and the sandbox, and waiting for a condition."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    """Return a free port for the API and another for the sandbox."""
    with listening(0) as first, listening(0) as second:
        return first.getsockname()[1], second.getsockname()[1]


def listening(port: int) -> socket.socket:
    """Return a socket that is bound to the port; 0 means any free port."""
    # Without the protocol's name asyncio leaves Nagle's algorithm on, which costs 40 ms per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def until(holds: Callable[[], bool], *, why: str, seconds: float = 40) -> None:
    """Wait until the condition holds; fail with *why* after *seconds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why
        threading.Event().wait(0.01)
