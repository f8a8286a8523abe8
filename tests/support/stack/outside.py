"""The world around Mobinet, as its sandbox plays it; and waiting for something to become true there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import httpx

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE = 40.0

ONCE = {"records": 1, "debts": 1, "messages": 1, "conflicts": 0}
NEVER = {"records": 0, "debts": 0, "messages": 0, "conflicts": 0}


class Sandbox:
    """The customer, the gateways and the internal systems: what they do, and what they believe."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(timeout=40, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def pays(self, **act: object) -> Json:
        """The customer acts: by `qr`, `payment_url` or our `reference`; paid, unless told otherwise."""
        return await self._post("pay", act)

    async def breaks(self, system: str, fault: str, **how: object) -> None:
        await self._post("faults", {"system": system, "fault": fault, **how})

    async def mends(self) -> None:
        await self._post("reset", {})

    async def staff(self, staff_id: str, **change: object) -> None:
        await self._post("staff", {"staff_id": staff_id, **change})

    async def truth(self) -> Json:
        return await self._get("truth")

    async def requests(self, system: str, since: int = 0) -> Json:
        return await self._get("requests", system=system, since=since)

    async def effects(self, payment_id: str) -> Json:
        """How often a payment took effect: in Revenue, in Debt, and on the customer's phone."""
        truth = await self.truth()
        return {
            name: sum(item["times"] for item in truth[name] if item["transaction_id"] == payment_id)
            for name in ("records", "debts", "messages", "conflicts")
        }

    async def charge(self, reference: str) -> Json | None:
        truth = await self.truth()
        return next((item for item in truth["charges"] if item["reference"] == reference), None)

    async def _post(self, control: str, body: Mapping[str, object]) -> Json:
        response = await self._http.post(f"{self.url}/_sandbox/{control}", json=body)
        assert response.is_success, response.text
        return response.json()

    async def _get(self, control: str, **query: str | int) -> Json:
        response = await self._http.get(f"{self.url}/_sandbox/{control}", params=query)
        return response.raise_for_status().json()


async def eventually(
    probe: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool] = bool,
    *,
    within: float = PATIENCE,
) -> T:
    """Ask until the answer holds, and return it; fail with the last answer at the deadline."""
    deadline = time.monotonic() + within
    while True:
        answer = await probe()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {within} s; last: {answer!r}"
        await asyncio.sleep(0.05)


async def equals(probe: Callable[[], Awaitable[T]], expected: T, *, within: float = PATIENCE) -> T:
    return await eventually(probe, lambda answer: answer == expected, within=within)
