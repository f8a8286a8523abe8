"""What the tests of adapters ask for: a counterpart that obeys, and repeats without waiting."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from integrations.http.client import Upstream
from tests.support.gateways.counterpart import Counterpart

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Repeats follow at once, as many as there would be."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def address() -> Iterator[Counterpart]:
    """A counterpart that has an address and does not listen yet: enough to build an adapter."""
    counterpart = Counterpart()
    yield counterpart
    counterpart.hang_up()


@pytest.fixture
async def counterpart(address: Counterpart) -> AsyncIterator[Counterpart]:
    await address.open()
    yield address
    await address.close()


@pytest.fixture
def http(address: Counterpart) -> Upstream:
    """Each answer ends its connection, so that nothing is left to be closed."""
    return Upstream("counterpart", address.url, connect=0.5, read=0.3, total=2.0)
