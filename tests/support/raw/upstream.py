"""Clients of raw servers, both event loops, and a call that returns its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from integrations.http.client import Timeouts, Upstream
from integrations.http.messages import Answer, Request

PATIENT = Timeouts(place=20, connect=20, read=20, total=20)
SHORT = Timeouts(connect=1.0, read=0.3, total=1.0)

OpenUpstream = Callable[..., Upstream]


both_loops = pytest.mark.parametrize(
    "anyio_backend",
    [("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})],
    ids=["uvloop", "asyncio"],
)
"""Runs a test on the event loop of the program, and on the one of Python."""


@pytest.fixture
async def open_upstream() -> AsyncIterator[OpenUpstream]:
    """Open clients, which the end of the test closes."""
    opened: list[Upstream] = []

    def open_and_remember(url: str, **options: Any) -> Upstream:
        opened.append(Upstream("raw", url, **({"timeouts": PATIENT} | options)))
        return opened[-1]

    yield open_and_remember
    for http in opened:
        await http.aclose()


async def call(http: Upstream, **changes: Any) -> Answer:
    """Make a call about the only subject, whose failures open no breaker."""
    fields = {"operation": "op", "method": "GET", "path": "/x", "subject": "only"} | changes
    return await http.call(Request(**fields), lambda answer: answer)
