"""What all internal systems share: a 404 is not found, and silence is unavailable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says

CONTRACT = "SGFDN1015"

QUERIES: dict[str, Callable[[Upstream], Awaitable[object]]] = {
    "bills": lambda http: Revenue(http).bills(CONTRACT),
    "fees": lambda http: Revenue(http).fees(CONTRACT),
    "history": lambda http: Revenue(http).history(CONTRACT),
    "debt": lambda http: DebtManagement(http).debt(CONTRACT),
    "staff": lambda http: StaffManagement(http).staff("NV001"),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_404_is_not_found_and_silence_is_unavailable(
    query: Callable[[Upstream], Awaitable[object]], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "NOT_FOUND", "message": "no"}}, 404))
    with pytest.raises(NotFound):
        await query(http)
    counterpart.always(acts.server_error)
    for _ in range(3):  # at the last one the breaker is open
        with pytest.raises(UpstreamUnavailable):
            await query(http)
