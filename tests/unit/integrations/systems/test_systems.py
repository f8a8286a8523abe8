"""The internal systems alike: unknown is not found, and their silence is never a fact."""

from collections.abc import Awaitable, Callable

import pytest

from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Counterpart, says

CONTRACT = "SGFDN1015"

ASKS: dict[str, Callable[[Upstream], Awaitable[object]]] = {
    "bills": lambda http: Revenue(http).bills(CONTRACT),
    "fees": lambda http: Revenue(http).fees(CONTRACT),
    "history": lambda http: Revenue(http).history(CONTRACT),
    "debt": lambda http: DebtManagement(http).debt(CONTRACT),
    "staff": lambda http: StaffManagement(http).staff("NV001"),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_unknown_is_not_found_and_silence_is_not(
    ask: Callable[[Upstream], Awaitable[object]], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "NOT_FOUND", "message": "no"}}, 404))
    with pytest.raises(NotFound):
        await ask(http)
    counterpart.always(they.server_error)
    for _ in range(3):  # the last one with the breaker open
        with pytest.raises(UpstreamUnavailable):
            await ask(http)
