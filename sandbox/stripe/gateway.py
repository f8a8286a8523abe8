"""Stripe: pages and tokens by which cards are charged, and the signed events that tell of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import clock, pages
from sandbox.charges import Charge
from sandbox.player import Act
from sandbox.stripe.api import MerchantApi
from sandbox.stripe.objects import intent, session
from sandbox.stripe.rules import Declined, StripeRefused
from sandbox.web import ERRORS, Json, Refused
from sandbox.webhooks import Letter
from sandbox.world import World

VERSION = "2026-06-24.dahlia"
# A page's decline can be mended there; what ends it unpaid is a way to pay whose money never came.
EVENTS = {
    ("session", "paid"): "checkout.session.completed",
    ("session", "declined"): "checkout.session.async_payment_failed",
    ("session", "expired"): "checkout.session.expired",
    ("intent", "paid"): "payment_intent.succeeded",
    ("intent", "declined"): "payment_intent.payment_failed",
    ("intent", "expired"): "payment_intent.canceled",
}


class Stripe:
    name = "stripe"
    outcomes = ("paid", "declined", "expired")

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.secrets = world.settings.stripe.secrets
        self.webhook_url = f"{world.settings.api_url}/webhooks/stripe"
        self.scale = world.settings.sandbox.time_scale
        self.merchant = MerchantApi(world, self._tell)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                *self.merchant.routes(),
                Route("/c/pay/{token}", self.page, methods=["GET"]),
                Route("/c/pay/{token}", self.submitted, methods=["POST"]),
            ],
            exception_handlers=ERRORS | {StripeRefused: _refused},
        )

    async def refusal(self, request: Request) -> Response:
        return Declined("generic_decline").response

    # What the customer sees

    async def page(self, request: Request) -> Response:
        charge = self._by_token(request)
        return HTMLResponse(
            pages.payment("Stripe", charge, charge.details["about"], decline="Từ chối")
        )

    async def submitted(self, request: Request) -> Response:
        charge = self._by_token(request)
        if charge.now != "pending":
            return HTMLResponse(pages.message("Stripe", "Trang thanh toán này đã kết thúc."), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        outcome = "paid" if form.get("outcome") == "paid" else "declined"
        await self.world.player.do(charge, Act(outcome=outcome, wait=False))
        return RedirectResponse(charge.details["return_url"] or "/", 303)

    def _by_token(self, request: Request) -> Charge:
        charge = self.charges.known_as("token", request.path_params["token"])
        if charge is None or charge.gateway != self.name:
            raise Refused(404, "NOT_FOUND", "no payment has this address")
        return charge

    def opened(self, url: str) -> Charge | None:
        path = urlsplit(url).path
        if "/stripe/c/pay/" not in path:
            return None
        return self.charges.known_as("token", path.rpartition("/")[2])

    # What the merchant is told

    @property
    def spacing(self) -> tuple[float, ...]:
        """They say up to three days, each time after a longer while."""
        minutes = (1, 5, 30, 120, 360, 720, 1440)
        return tuple(each * 60 / self.scale for each in minutes)

    def news(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        kind = charge.details["kind"]
        return {
            "id": f"evt_{charge.gateway_id}_{outcome}",
            "object": "event",
            "api_version": VERSION,
            "created": int(clock.now()),
            "type": EVENTS[kind, outcome],
            "livemode": False,
            "pending_webhooks": 1,
            "data": {"object": session(charge) if kind == "session" else intent(charge)},
        }

    def letter(self, fields: Json, *, forged: bool) -> Letter:
        body = json.dumps(fields, indent=2).encode()
        moment = str(int(clock.now()))
        keys = [secrets.token_bytes(32)] if forged else self.secrets
        signed = moment.encode() + b"." + body
        proofs = [hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys]
        signatures = "".join(f",v1={proof}" for proof in proofs)
        return Letter(
            method="POST",
            url=self.webhook_url,
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": f"t={moment}{signatures},v0={'0' * 64}",
            },
            body=body,
        )

    def settled(self, status_code: int, answer: Any) -> bool:
        return 200 <= status_code < 300

    def _tell(self, charge: Charge, outcome: str) -> None:
        now = clock.now()
        webhook = self.world.webhooks.write(
            self.name,
            charge.reference,
            self.news(charge, outcome, None),
            forged=False,
            burst=1,
            due_at=now,
        )
        self.world.webhooks.later(webhook, now)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StripeRefused)
    return error.response
