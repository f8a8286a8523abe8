"""PayPal Orders v2: the customer approves an order, the merchant captures it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import clock, pages
from sandbox.charges import Charge
from sandbox.payer import PayerAction
from sandbox.paypal.certificates import Signer
from sandbox.paypal.objects import CURRENCY, Order, Problem, capture, cents, order, parse
from sandbox.paypal.refunds import CAPTURES, Refunds
from sandbox.web import ERRORS, Endpoint, Json, Refused, equal_in_constant_time
from sandbox.webhooks import WebhookRequest
from sandbox.world import World

LIFETIME = 3 * 3600  # seconds until an order without approval expires
TOKEN_SECONDS = 32_400
ORDERS = "/v2/checkout/orders"


class PayPal:
    name = "paypal"
    outcomes = ("paid", "declined", "expired")

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.account = world.settings.paypal
        self.secret = self.account.client_secret.get_secret_value().encode()
        self.api_url = world.settings.api_url
        self.address = f"http://127.0.0.1:{world.settings.sandbox_port}/paypal"
        self.scale = world.settings.sandbox.time_scale
        self.signer = Signer()
        self.refunds = Refunds(world, self._send_webhook)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/oauth2/token", self.token, methods=["POST"]),
                Route(ORDERS, self._idempotent(self.create), methods=["POST"]),
                Route(f"{ORDERS}/{{id}}", self._authenticated(self.order)),
                Route(f"{ORDERS}/{{id}}/capture", self._idempotent(self.capture), methods=["POST"]),
                Route(f"{CAPTURES}/{{id}}", self._authenticated(self.captured)),
                *self.refunds.routes(self._authenticated, self._idempotent),
                Route("/v1/notifications/certs/{id}", self.certificate),
                Route("/checkoutnow", self.page, methods=["GET"]),
                Route("/checkoutnow", self.submitted, methods=["POST"]),
            ],
            exception_handlers=ERRORS | {Problem: _problem},
        )

    async def refusal(self, request: Request) -> Response:
        if request.url.path.endswith("/refund"):
            return Problem(422, "UNPROCESSABLE_ENTITY", "TRANSACTION_REFUSED").response
        return Problem(422, "UNPROCESSABLE_ENTITY", "INSTRUMENT_DECLINED").response

    # Authentication and idempotency

    async def token(self, request: Request) -> Response:
        pair = f"{self.account.client_id.get_secret_value()}:{self.secret.decode()}"
        wanted = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if not equal_in_constant_time(request.headers.get("authorization", ""), wanted):
            return JSONResponse({"error": "invalid_client"}, 401)
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        ends = str(int(clock.now()) + TOKEN_SECONDS)
        token = f"A21AA{ends}.{self._proof(ends)}"
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        )

    def _proof(self, ends: str) -> str:
        return hmac.new(self.secret, ends.encode(), hashlib.sha256).hexdigest()

    def _check_token(self, request: Request) -> None:
        found = re.fullmatch(
            r"Bearer A21AA(\d+)\.([0-9a-f]{64})", request.headers.get("authorization", "")
        )
        good = (
            found
            and equal_in_constant_time(found[2], self._proof(found[1]))
            and int(found[1]) > clock.now()
        )
        if not good:
            raise Problem(401, "AUTHENTICATION_FAILURE", "INVALID_TOKEN")

    def _authenticated(self, answer: Callable[[Request], Json]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._check_token(request)
            return JSONResponse(answer(request))

        return endpoint

    def _idempotent(
        self,
        perform: Callable[[Request, bytes], Json],
        latest: Callable[[Json], Json] | None = None,
    ) -> Endpoint:
        """
        Return an endpoint that performs an operation once for each PayPal-Request-Id.

        A repeat gets the first answer, or the answer's `latest` state. Without an id the operation
        is performed each time.
        """

        async def endpoint(request: Request) -> Response:
            self._check_token(request)
            raw = await request.body()
            key, path = request.headers.get("paypal-request-id", ""), request.url.path
            if len(key) > 108:
                raise Problem(400, "INVALID_REQUEST", "PAYPAL_REQUEST_ID_TOO_LONG")
            first = self.world.store.fetch_row(
                "select * from answers where system = 'paypal' and path = ? and key = ?", path, key
            )
            if key and first is not None and latest is not None:
                return JSONResponse(latest(json.loads(first["body"])))
            if key and first is not None:
                return Response(first["body"], 200, None, "application/json")
            with self.world.store.transaction():
                response = JSONResponse(perform(request, raw), 201)
                if key:
                    self.world.store.execute(
                        "insert into answers values ('paypal', ?, ?, '', 201, ?)",
                        path, key, bytes(response.body).decode(),
                    )  # fmt: skip
            return response

        return endpoint

    # Requests of the merchant

    def create(self, request: Request, raw: bytes) -> Json:
        (unit,) = parse(Order, raw).purchase_units
        if unit.amount.currency_code != CURRENCY:
            raise Problem(422, "UNPROCESSABLE_ENTITY", "CURRENCY_NOT_SUPPORTED")
        experience = json.loads(raw).get("payment_source", {}).get("paypal", {})
        number = f"O{self.charges.number()}"
        charge = self.charges.open(
            gateway=self.name,
            reference=unit.custom_id or number,
            day=number,
            amount=cents(unit.amount),
            currency=CURRENCY,
            expires_at=clock.now() + LIFETIME,
            gateway_id=number,
            token=number,
            payment_url=f"{request.base_url}{self.name}/checkoutnow?token={number}",
            details={
                "custom_id": unit.custom_id,
                "invoice_id": unit.invoice_id,
                "about": unit.description,
                "return_url": experience.get("experience_context", {}).get("return_url", "/"),
            },
        )
        assert charge is not None
        return order(charge)

    def order(self, request: Request) -> Json:
        charge = self._charge(request.path_params["id"])
        return order(charge, self.refunds.of(charge))

    def capture(self, request: Request, raw: bytes) -> Json:
        charge = self._charge(request.path_params["id"])
        if charge.status in ("paid", "declined"):
            raise Problem(422, "UNPROCESSABLE_ENTITY", "ORDER_ALREADY_CAPTURED")
        if charge.status != "approved":
            raise Problem(422, "UNPROCESSABLE_ENTITY", "ORDER_NOT_APPROVED")
        charge = self.charges.set_status(
            charge, "paid", charge.current_amount, charge.details["reason"]
        )
        self._send_webhook(charge, "PAYMENT.CAPTURE.COMPLETED", capture(charge), clock.now())
        return order(charge)

    def captured(self, request: Request) -> Json:
        charge = self._charge(request.path_params["id"].replace("C", "O", 1))
        if charge.status != "paid":
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return capture(charge, self.refunds.of(charge))

    def _charge(self, number: str) -> Charge:
        charge = self.charges.find_by("gateway_id", number)
        if charge is None or charge.gateway != self.name:
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return charge

    # Pages for the customer

    async def page(self, request: Request) -> Response:
        charge = self._charge(request.query_params.get("token", ""))
        return HTMLResponse(pages.payment("PayPal", charge, charge.details["about"], decline="Huỷ"))

    async def submitted(self, request: Request) -> Response:
        charge = self._charge(request.query_params.get("token", ""))
        if charge.current_status != "pending":
            return HTMLResponse(pages.message("PayPal", "Đơn này đã kết thúc."), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("outcome") == "paid":  # leaving the page decides nothing
            await self.world.payer.perform(charge, PayerAction(outcome="paid", wait=False))
        back = urlencode({"token": charge.gateway_id})
        return RedirectResponse(pages.with_query(charge.details["return_url"], back), 303)

    def open_charge(self, url: str) -> Charge | None:
        address = urlsplit(url)
        if not address.path.endswith("/paypal/checkoutnow"):
            return None
        return self.charges.find_by("token", dict(parse_qsl(address.query)).get("token", ""))

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        """Return 25 delays over three days; PayPal does not document their lengths."""
        return tuple(min(60.0 * 2**n, 3 * 3600) / self.scale for n in range(25))

    def _send_webhook(self, charge: Charge, type: str, about: Json, due_at: float) -> None:
        """Schedule a webhook for a change that the merchant made."""
        event = self._event(type, about)
        webhook = self.world.webhooks.add(
            self.name, charge.reference, event, forged=False, burst=1, due_at=due_at
        )
        self.world.webhooks.schedule(webhook, due_at)

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        match outcome:
            case "paid":
                return self._event("CHECKOUT.ORDER.APPROVED", order(charge))
            case "declined":
                return self._event("PAYMENT.CAPTURE.DENIED", capture(charge))
            case _:
                about = order(charge) | {"order_id": charge.gateway_id}
                return self._event("CHECKOUT.PAYMENT-APPROVAL.REVERSED", about)

    def _event(self, type: str, about: Json) -> Json:
        return {
            "id": f"WH-{about['id']}-{type}",
            "event_version": "1.0",
            "create_time": clock.iso(clock.now()),
            "event_type": type,
            "resource": about,
        }

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        body = json.dumps(fields).encode()
        id, moment = str(uuid.uuid4()), clock.iso(clock.now())
        return WebhookRequest(
            method="POST",
            url=f"{self.api_url}/webhooks/paypal",
            headers={
                "Content-Type": "application/json",
                "PAYPAL-TRANSMISSION-ID": id,
                "PAYPAL-TRANSMISSION-TIME": moment,
                "PAYPAL-TRANSMISSION-SIG": self.signer.sign(
                    id=id,
                    time=moment,
                    webhook_id=self.account.webhook_id,
                    body=body,
                    forged=forged,
                ),
                "PAYPAL-CERT-URL": f"{self.address}/v1/notifications/certs/{self.signer.id}",
                "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            },
            body=body,
        )

    async def certificate(self, request: Request) -> Response:
        if request.path_params["id"] != self.signer.id:
            raise Refused(404, "NOT_FOUND", "no such certificate")
        return Response(self.signer.pem, media_type="application/x-pem-file")

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return 200 <= status_code < 300


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response
