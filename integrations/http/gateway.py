"""What the gateways that we call over HTTP have in common."""

from __future__ import annotations

from collections.abc import Callable

from domain.methods import GatewayName
from domain.payment_evidence import Evidence
from integrations.http.client import Upstream
from integrations.http.conversation import evidence_of_charge, evidence_of_inquiry
from integrations.http.messages import Answer, Request


class HttpGateway:
    """A gateway whose operation `start` has the breaker that decides whether it is ready."""

    name: GatewayName

    def __init__(self, http: Upstream) -> None:
        self._http = http

    def ready(self) -> bool:
        return self._http.ready("start")

    def retry_after_ms(self) -> int | None:
        return self._http.retry_after_ms("start")

    async def _charge(
        self, origin: str, request: Request, read: Callable[[Answer], Evidence]
    ) -> Evidence:
        """Start a payment or refund. Raises GatewayUnavailable where the breaker is open."""
        return await evidence_of_charge(self.name, origin, self._http.call(request, read))

    async def _inquire(
        self, origin: str, request: Request, read: Callable[[Answer], Evidence]
    ) -> Evidence:
        return await evidence_of_inquiry(origin, self._http.call(request, read))
