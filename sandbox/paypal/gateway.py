"""PayPal Orders v2: an order that a customer approves, a merchant captures, and signed calls that tell of both."""

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
from sandbox.paypal.certificates import Signer
from sandbox.paypal.objects import CURRENCY, Order, Problem, capture, cents, order, read_as
from sandbox.paypal.refunds import CAPTURES, Refunds
from sandbox.player import Act
from sandbox.web import ERRORS, Endpoint, Json, Refused, same
from sandbox.webhooks import Letter
from sandbox.world import World

LIFETIME = 3 * 3600  # of an order that nobody approves
TOKEN_SECONDS = 32_400
ORDERS = "/v2/checkout/orders"


class PayPal:
    name = "paypal"
    outcomes = ("paid", "declined", "expired")

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.mine = world.settings.paypal
        self.secret = self.mine.client_secret.get_secret_value().encode()
        self.api_url = world.settings.api_url
        self.address = f"http://127.0.0.1:{world.settings.sandbox_port}/paypal"
        self.scale = world.settings.sandbox.time_scale
        self.signer = Signer()
        self.refunds = Refunds(world, self._tell)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/oauth2/token", self.token, methods=["POST"]),
                Route(ORDERS, self._once(self.create), methods=["POST"]),
                Route(f"{ORDERS}/{{id}}", self._known(self.order)),
                Route(f"{ORDERS}/{{id}}/capture", self._once(self.capture), methods=["POST"]),
                Route(f"{CAPTURES}/{{id}}", self._known(self.captured)),
                *self.refunds.routes(self._known, self._once),
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

    # Who asks, and whether for the first time

    async def token(self, request: Request) -> Response:
        pair = f"{self.mine.client_id.get_secret_value()}:{self.secret.decode()}"
        wanted = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if not same(request.headers.get("authorization", ""), wanted):
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
        good = found and same(found[2], self._proof(found[1])) and int(found[1]) > clock.now()
        if not good:
            raise Problem(401, "AUTHENTICATION_FAILURE", "INVALID_TOKEN")

    def _known(self, answer: Callable[[Request], Json]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._check_token(request)
            return JSONResponse(answer(request))

        return endpoint

    def _once(
        self, act: Callable[[Request, bytes], Json], latest: Callable[[Json], Json] | None = None
    ) -> Endpoint:
        """
        Under a PayPal-Request-Id what took effect is answered again, with its `latest` state where it
        has one; without an id it is done again.
        """

        async def endpoint(request: Request) -> Response:
            self._check_token(request)
            raw = await request.body()
            key, path = request.headers.get("paypal-request-id", ""), request.url.path
            if len(key) > 108:
                raise Problem(400, "INVALID_REQUEST", "PAYPAL_REQUEST_ID_TOO_LONG")
            first = self.world.store.one(
                "select * from answers where system = 'paypal' and path = ? and key = ?", path, key
            )
            if key and first is not None and latest is not None:
                return JSONResponse(latest(json.loads(first["body"])))
            if key and first is not None:
                return Response(first["body"], 200, None, "application/json")
            with self.world.store.transaction():
                response = JSONResponse(act(request, raw), 201)
                if key:
                    self.world.store.run(
                        "insert into answers values ('paypal', ?, ?, '', 201, ?)",
                        path, key, bytes(response.body).decode(),
                    )  # fmt: skip
            return response

        return endpoint

    # What the merchant asks for

    def create(self, request: Request, raw: bytes) -> Json:
        (unit,) = read_as(Order, raw).purchase_units
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
        charge = self.charges.become(charge, "paid", charge.money, charge.details["reason"])
        self._tell(charge, "PAYMENT.CAPTURE.COMPLETED", capture(charge), clock.now())
        return order(charge)

    def captured(self, request: Request) -> Json:
        charge = self._charge(request.path_params["id"].replace("C", "O", 1))
        if charge.status != "paid":
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return capture(charge, self.refunds.of(charge))

    def _charge(self, number: str) -> Charge:
        charge = self.charges.known_as("gateway_id", number)
        if charge is None or charge.gateway != self.name:
            raise Problem(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return charge

    # What the customer sees

    async def page(self, request: Request) -> Response:
        charge = self._charge(request.query_params.get("token", ""))
        return HTMLResponse(pages.payment("PayPal", charge, charge.details["about"], decline="Huỷ"))

    async def submitted(self, request: Request) -> Response:
        charge = self._charge(request.query_params.get("token", ""))
        if charge.now != "pending":
            return HTMLResponse(pages.message("PayPal", "Đơn này đã kết thúc."), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("outcome") == "paid":  # who leaves without paying has decided nothing
            await self.world.player.do(charge, Act(outcome="paid", wait=False))
        back = urlencode({"token": charge.gateway_id})
        return RedirectResponse(pages.with_query(charge.details["return_url"], back), 303)

    def opened(self, url: str) -> Charge | None:
        address = urlsplit(url)
        if not address.path.endswith("/paypal/checkoutnow"):
            return None
        return self.charges.known_as("token", dict(parse_qsl(address.query)).get("token", ""))

    # What the merchant is told

    @property
    def spacing(self) -> tuple[float, ...]:
        """25 times in three days; how they are spread is not said."""
        return tuple(min(60.0 * 2**n, 3 * 3600) / self.scale for n in range(25))

    def _tell(self, charge: Charge, type: str, about: Json, due_at: float) -> None:
        """Have the merchant told of what was not the customer's doing."""
        event = self._event(type, about)
        webhook = self.world.webhooks.write(
            self.name, charge.reference, event, forged=False, burst=1, due_at=due_at
        )
        self.world.webhooks.later(webhook, due_at)

    def news(self, charge: Charge, outcome: str, reason: str | None) -> Json:
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

    def letter(self, fields: Json, *, forged: bool) -> Letter:
        body = json.dumps(fields).encode()
        id, moment = str(uuid.uuid4()), clock.iso(clock.now())
        return Letter(
            method="POST",
            url=f"{self.api_url}/webhooks/paypal",
            headers={
                "Content-Type": "application/json",
                "PAYPAL-TRANSMISSION-ID": id,
                "PAYPAL-TRANSMISSION-TIME": moment,
                "PAYPAL-TRANSMISSION-SIG": self.signer.sign(
                    id=id,
                    time=moment,
                    webhook_id=self.mine.webhook_id,
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

    def settled(self, status_code: int, answer: Any) -> bool:
        return 200 <= status_code < 300


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response
