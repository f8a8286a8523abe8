"""What the tests of adapters ask for: a counterpart that obeys, and repeats without waiting."""

from collections.abc import AsyncIterator, Iterator

import pytest
import stamina

from integrations.http.client import Upstream
from tests.support.gateways.counterpart import Counterpart


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
