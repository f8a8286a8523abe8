"""Fixtures of the adapters' tests: a counterpart, a client for it, and retries without pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import stamina

from integrations.http.client import Timeouts, Upstream
from tests.support.gateways.counterpart import Counterpart


@pytest.fixture(autouse=True)
def retries_without_pauses() -> Iterator[None]:
    """Let retries follow at once, as many as in production."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def address() -> Iterator[Counterpart]:
    """Yield a counterpart that has an address and does not listen yet."""
    counterpart = Counterpart()
    yield counterpart
    counterpart.close_socket()


@pytest.fixture
async def counterpart(address: Counterpart) -> AsyncIterator[Counterpart]:
    await address.open()
    yield address
    await address.close()


@pytest.fixture
def http(address: Counterpart) -> Upstream:
    """Return a client. Each answer ends its connection, so the client needs no closing."""
    timeouts = Timeouts(connect=0.5, read=0.3, total=2.0)
    return Upstream("counterpart", address.url, timeouts=timeouts)
