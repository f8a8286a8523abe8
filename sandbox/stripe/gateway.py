"""Stripe: checkout pages, test cards, and signed webhooks."""

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
from sandbox.payer import PayerAction
from sandbox.stripe.api import MerchantApi
from sandbox.stripe.objects import intent, session
from sandbox.stripe.rules import Declined, StripeRefused
from sandbox.web import ERRORS, Json, Refused
from sandbox.webhooks import WebhookRequest
from sandbox.world import World

VERSION = "2026-06-24.dahlia"
# A declined card can be retried on the page; only an asynchronous method ends a session unpaid.
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
        self.merchant = MerchantApi(world, self._send_webhook)

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

    # Pages for the customer

    async def page(self, request: Request) -> Response:
        charge = self._by_token(request)
        return HTMLResponse(
            pages.payment("Stripe", charge, charge.details["about"], decline="Từ chối")
        )

    async def submitted(self, request: Request) -> Response:
        charge = self._by_token(request)
        if charge.current_status != "pending":
            return HTMLResponse(pages.message("Stripe", "Trang thanh toán này đã kết thúc."), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        outcome = "paid" if form.get("outcome") == "paid" else "declined"
        await self.world.payer.perform(charge, PayerAction(outcome=outcome, wait=False))
        return RedirectResponse(charge.details["return_url"] or "/", 303)

    def _by_token(self, request: Request) -> Charge:
        charge = self.charges.find_by("token", request.path_params["token"])
        if charge is None or charge.gateway != self.name:
            raise Refused(404, "NOT_FOUND", "no payment has this address")
        return charge

    def open_charge(self, url: str) -> Charge | None:
        path = urlsplit(url).path
        if "/stripe/c/pay/" not in path:
            return None
        return self.charges.find_by("token", path.rpartition("/")[2])

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        """Return growing delays, in seconds; Stripe documents only "up to three days"."""
        minutes = (1, 5, 30, 120, 360, 720, 1440)
        return tuple(each * 60 / self.scale for each in minutes)

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
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

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        body = json.dumps(fields, indent=2).encode()
        moment = str(int(clock.now()))
        keys = [secrets.token_bytes(32)] if forged else self.secrets
        signed = moment.encode() + b"." + body
        proofs = [hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys]
        signatures = "".join(f",v1={proof}" for proof in proofs)
        return WebhookRequest(
            method="POST",
            url=self.webhook_url,
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": f"t={moment}{signatures},v0={'0' * 64}",
            },
            body=body,
        )

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return 200 <= status_code < 300

    def _send_webhook(self, charge: Charge, outcome: str) -> None:
        now = clock.now()
        webhook = self.world.webhooks.add(
            self.name,
            charge.reference,
            self.webhook_fields(charge, outcome, None),
            forged=False,
            burst=1,
            due_at=now,
        )
        self.world.webhooks.schedule(webhook, now)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StripeRefused)
    return error.response
