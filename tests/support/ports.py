"""Where the sandbox and the API listen, and waiting until something is so."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    """The API's and the sandbox's."""
    with listening(0) as one, listening(0) as other:
        return one.getsockname()[1], other.getsockname()[1]


def listening(port: int) -> socket.socket:
    # Without the protocol's name asyncio leaves Nagle's algorithm on: 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening


def until(holds: Callable[[], bool], *, why: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why
        threading.Event().wait(0.01)
