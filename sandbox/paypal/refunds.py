"""PayPal Payments v2: full and partial refunds of captures, and their status."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from sandbox import clock
from sandbox.charges import Charge
from sandbox.paypal.objects import CURRENCY, Problem, RefundRequest, cents, parse, refund
from sandbox.web import Json
from sandbox.world import World

CAPTURES, REFUNDS = "/v2/payments/captures", "/v2/payments/refunds"
CLEARING = 1800  # seconds until a bank clears an ECHECK refund, which takes days at PayPal itself


class Refunds:
    """The refunds' routes; `send_webhook` takes the moment at which the webhook is due."""

    def __init__(
        self, world: World, send_webhook: Callable[[Charge, str, Json, float], None]
    ) -> None:
        self.charges = world.charges
        self.send_webhook = send_webhook
        self.clearing = CLEARING / world.settings.sandbox.time_scale

    def routes(
        self, authenticated: Callable[..., Any], idempotent: Callable[..., Any]
    ) -> list[Route]:
        give = idempotent(self.create, self.latest_state)
        return [
            Route(f"{CAPTURES}/{{id}}/refund", give, methods=["POST"]),
            Route(f"{REFUNDS}/{{id}}", authenticated(self.show)),
        ]

    def create(self, request: Request, raw: bytes) -> Json:
        charge = self._captured(request.path_params["id"])
        order = parse(RefundRequest, raw or b"{}")
        left = charge.current_amount - self.charges.refunded(charge)
        amount = left if order.amount is None else cents(order.amount)
        if order.amount is not None and order.amount.currency_code != CURRENCY:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "REFUND_CAPTURE_CURRENCY_MISMATCH")
        if left == 0:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED")
        if amount > left:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "REFUND_AMOUNT_EXCEEDED")
        number = self._save(charge, order.custom_id or order.invoice_id, amount)
        (made,) = [item for item in self.of(charge) if item["id"] == number]
        now = clock.now()
        if made["status"] == "PENDING":
            self.send_webhook(charge, "PAYMENT.REFUND.PENDING", made, now)
            now += self.clearing
        self.send_webhook(charge, "PAYMENT.CAPTURE.REFUNDED", made | {"status": "COMPLETED"}, now)
        return made

    def _save(self, charge: Charge, name: str | None, amount: int) -> str:
        """Store a refund; a repeated name under another request id is another refund."""
        name = name or f"unnamed:{self.charges.number()}"
        try:
            return self.charges.refund(charge, name, amount, prefix="R")
        except sqlite3.IntegrityError:
            again = f"{name}:{self.charges.number()}"
            return self.charges.refund(charge, again, amount, prefix="R")

    def show(self, request: Request) -> Json:
        return self._refund(request.path_params["id"])

    def latest_state(self, first: Json) -> Json:
        """Return the current state of a refund whose first answer is given."""
        return self._refund(first["id"])

    def of(self, charge: Charge) -> list[Json]:
        """Return the refunds of a charge, oldest first."""
        return [
            refund(charge, item, clearing=self.clearing)
            for item in self.charges.refunds()
            if item["charge_id"] == charge.id
        ]

    def _refund(self, number: str) -> Json:
        for item in self.charges.refunds():
            if (item["gateway"], item["gateway_id"]) == ("paypal", number):
                (charge,) = [it for it in self.charges.all() if it.id == item["charge_id"]]
                return refund(charge, item, clearing=self.clearing)
        raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")

    def _captured(self, number: str) -> Charge:
        charge = self.charges.find_by("gateway_id", number.replace("C", "O", 1))
        if charge is None or charge.gateway != "paypal" or charge.status != "paid":
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return charge
