"""PayPal's Payments v2: captured money that a merchant gives back, whole or in parts, and how each refund stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from sandbox import clock
from sandbox.charges import Charge
from sandbox.paypal.objects import CURRENCY, Problem, RefundRequest, cents, read_as, refund
from sandbox.web import Json
from sandbox.world import World

CAPTURES, REFUNDS = "/v2/payments/captures", "/v2/payments/refunds"
CLEARING = 1800  # days at PayPal: what was paid from a bank account goes back once that has cleared


class Refunds:
    """`tell` has the merchant told, now or at a later moment, that a charge's money goes back."""

    def __init__(self, world: World, tell: Callable[[Charge, str, Json, float], None]) -> None:
        self.charges = world.charges
        self.tell = tell
        self.clearing = CLEARING / world.settings.sandbox.time_scale

    def routes(self, known: Callable[..., Any], once: Callable[..., Any]) -> list[Route]:
        give = once(self.create, self.as_it_is)
        return [
            Route(f"{CAPTURES}/{{id}}/refund", give, methods=["POST"]),
            Route(f"{REFUNDS}/{{id}}", known(self.show)),
        ]

    def create(self, request: Request, raw: bytes) -> Json:
        charge = self._captured(request.path_params["id"])
        asked = read_as(RefundRequest, raw or b"{}")
        left = charge.money - self.charges.refunded(charge)
        amount = left if asked.amount is None else cents(asked.amount)
        if asked.amount is not None and asked.amount.currency_code != CURRENCY:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "REFUND_CAPTURE_CURRENCY_MISMATCH")
        if left == 0:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED")
        if amount > left:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "REFUND_AMOUNT_EXCEEDED")
        number = self._keep(charge, asked.custom_id or asked.invoice_id, amount)
        (made,) = [item for item in self.of(charge) if item["id"] == number]
        now = clock.now()
        if made["status"] == "PENDING":
            self.tell(charge, "PAYMENT.REFUND.PENDING", made, now)
            now += self.clearing
        self.tell(charge, "PAYMENT.CAPTURE.REFUNDED", made | {"status": "COMPLETED"}, now)
        return made

    def _keep(self, charge: Charge, name: str | None, amount: int) -> str:
        """Under another request's id the same name is another refund: both are paid."""
        name = name or f"unnamed:{self.charges.number()}"
        try:
            return self.charges.refund(charge, name, amount, prefix="R")
        except sqlite3.IntegrityError:
            again = f"{name}:{self.charges.number()}"
            return self.charges.refund(charge, again, amount, prefix="R")

    def show(self, request: Request) -> Json:
        return self._refund(request.path_params["id"])

    def as_it_is(self, first: Json) -> Json:
        """How a refund stands by now, for whoever asks for it once more."""
        return self._refund(first["id"])

    def of(self, charge: Charge) -> list[Json]:
        """What was given back of a charge, in order."""
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
        charge = self.charges.known_as("gateway_id", number.replace("C", "O", 1))
        if charge is None or charge.gateway != "paypal" or charge.status != "paid":
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return charge
