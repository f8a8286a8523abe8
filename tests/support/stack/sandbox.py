"""The sandbox of a running stack: the customer, the gateways and the internal systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import httpx

Json = dict[str, Any]


EFFECTS_ONCE = {"records": 1, "debts": 1, "messages": 1, "conflicts": 0}
NO_EFFECTS = {"records": 0, "debts": 0, "messages": 0, "conflicts": 0}


class Sandbox:
    """Controls what the outer systems do, and reads what they have recorded."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(timeout=40, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def pay(self, **act: object) -> Json:
        """Let the customer act on `qr`, `payment_url` or our `reference`; by default they pay."""
        return await self._post("pay", act)

    async def order_fault(self, system: str, fault: str, **how: object) -> None:
        await self._post("faults", {"system": system, "fault": fault, **how})

    async def reset(self) -> None:
        await self._post("reset", {})

    async def change_staff(self, staff_id: str, **change: object) -> None:
        await self._post("staff", {"staff_id": staff_id, **change})

    async def truth(self) -> Json:
        return await self._get("truth")

    async def requests(self, system: str, since: int = 0) -> Json:
        return await self._get("requests", system=system, since=since)

    async def effects(self, payment_id: str) -> Json:
        """Return how often a payment took effect in Revenue, in Debt and as a message."""
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
