"""FPT Pay: the staff's wallet, charged through a form and reported by a signed notification."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import sqlite3
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import clock, pages
from sandbox.charges import Charge
from sandbox.payer import PayerAction
from sandbox.people import Person
from sandbox.web import (
    ERRORS,
    Answer,
    Body,
    Endpoint,
    Idempotency,
    Json,
    Refused,
    equal_in_constant_time,
)
from sandbox.webhooks import WebhookRequest, response_field
from sandbox.world import World

LIFETIME = 900
WEB = r"^https?://[!-~]+$"


class CustomerInfo(Body):
    name: str = Field(min_length=1, max_length=100)
    phone: str = Field(min_length=1, max_length=20)


class Init(Body):
    amount: int = Field(gt=0)
    description: str = Field(min_length=1, max_length=255)
    customer_info: CustomerInfo
    reference: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    return_url: str = Field(pattern=WEB, max_length=500)
    notify_url: str = Field(pattern=WEB, max_length=500)


class Refund(Body):
    refund_reference: str = Field(min_length=1, max_length=100)
    amount: int = Field(gt=0)


class FptPay:
    name = "fpt_pay"
    outcomes = ("paid", "declined", "expired")

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.people = world.people
        self.secrets = world.settings.fpt_pay.secrets
        self.scale = world.settings.sandbox.time_scale

    def app(self) -> Starlette:
        idempotent = Idempotency(self.world.store, self.name)
        init = self._for_staff(idempotent(Init, self.init))
        refund = self._for_merchant(idempotent(Refund, self.refund))
        return Starlette(
            routes=[
                Route("/payment/init", init, methods=["POST"]),
                Route("/payment/{reference}", self._for_merchant(self.inquire)),
                Route("/payment/{reference}/refund", refund, methods=["POST"]),
                Route("/form/{token}", self.form, methods=["GET"]),
                Route("/form/{token}", self.submitted, methods=["POST"]),
            ],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return Refused(401, "TOKEN_REFUSED", "this token is not accepted, log in again").response

    # Requests of the merchant

    def _for_staff(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if self._payer(request) is None:
                raise Refused(401, "TOKEN_REFUSED", "no wallet has this token, log in again")
            return await endpoint(request)

        return guarded

    def _for_merchant(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if not any(
                equal_in_constant_time(_bearer(request), secret.decode()) for secret in self.secrets
            ):
                raise Refused(401, "UNAUTHENTICATED", "this is not the merchant's secret")
            return await endpoint(request)

        return guarded

    def _payer(self, request: Request) -> Person | None:
        return self.people.by_wallet_token(_bearer(request))

    def init(self, request: Request, body: Init) -> Answer:
        if self.charges.find(gateway=self.name, reference=body.reference):
            raise Refused(
                409, "REFERENCE_EXISTS", "this reference already has a payment", field="reference"
            )
        payer = self._payer(request)
        assert payer is not None
        token = secrets.token_urlsafe(24)
        charge = self.charges.open(
            gateway=self.name,
            reference=body.reference,
            amount=body.amount,
            expires_at=clock.now() + LIFETIME,
            gateway_id=f"FP{self.charges.number()}",
            token=token,
            payment_url=f"{request.base_url}{self.name}/form/{token}",
            details={
                "description": body.description,
                "staff_id": payer.id,
                "return_url": body.return_url,
                "notify_url": body.notify_url,
            },
        )
        assert charge is not None
        return 201, {
            "payment_id": charge.gateway_id,
            "payment_url": charge.payment_url,
            "status": "pending",
            "expires_at": clock.iso(charge.expires_at),
        }

    async def inquire(self, request: Request) -> Response:
        charge = self._charge(request)
        status = charge.current_status
        return JSONResponse(
            {
                "reference": charge.reference,
                "payment_id": charge.gateway_id,
                "status": status,
                "amount": charge.current_amount,
                "currency": charge.currency,
                "paid_at": None if charge.paid_at is None else clock.iso(charge.paid_at),
                "reason": _reason(status, charge.details.get("reason")),
                "refunded": self.charges.refunded(charge),
            }
        )

    def refund(self, request: Request, body: Refund) -> Answer:
        charge = self._charge(request)
        if charge.status != "paid":
            raise Refused(409, "NOT_PAID", "the payment is not paid")
        refunded = self.charges.refunded(charge) + body.amount
        if refunded > charge.current_amount:
            left = charge.current_amount - refunded + body.amount
            raise Refused(
                422, "REFUND_EXCEEDS_PAYMENT", f"only {left} can still be refunded", refundable=left
            )
        try:
            refund_id = self.charges.refund(
                charge, body.refund_reference, body.amount, prefix="FPR"
            )
        except sqlite3.IntegrityError:
            raise Refused(409, "REFUND_EXISTS", "this refund_reference was used") from None
        return 201, {
            "reference": charge.reference,
            "refund_reference": body.refund_reference,
            "refund_id": refund_id,
            "status": "refunded",
            "amount": body.amount,
            "refunded": refunded,
        }

    def _charge(self, request: Request) -> Charge:
        charge = self.charges.find(gateway=self.name, reference=request.path_params["reference"])
        if charge is None:
            raise Refused(404, "NOT_FOUND", "no payment has this reference")
        return charge

    # Pages for the payer

    async def form(self, request: Request) -> Response:
        charge = self._by_token(request)
        return HTMLResponse(
            pages.payment("FPT Pay", charge, charge.details["description"], decline="Từ chối")
        )

    async def submitted(self, request: Request) -> Response:
        charge = self._by_token(request)
        if charge.current_status != "pending":
            return HTMLResponse(
                pages.message("FPT Pay", "Yêu cầu thanh toán này đã kết thúc."), 410
            )
        form = dict(parse_qsl((await request.body()).decode()))
        outcome = "paid" if form.get("outcome") == "paid" else "declined"
        await self.world.payer.perform(
            charge,
            PayerAction(
                outcome=outcome, reason=None if outcome == "paid" else "cancelled", wait=False
            ),
        )
        back = urlencode({"reference": charge.reference, "status": outcome})
        return RedirectResponse(pages.with_query(charge.details["return_url"], back), 303)

    def _by_token(self, request: Request) -> Charge:
        charge = self.charges.find_by("token", request.path_params["token"])
        if charge is None or charge.gateway != self.name:
            raise Refused(404, "NOT_FOUND", "no payment has this address")
        return charge

    def open_charge(self, url: str) -> Charge | None:
        path = urlsplit(url).path
        if "/fpt_pay/form/" not in path:
            return None
        return self.charges.find_by("token", path.rpartition("/")[2])

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        return tuple(seconds / self.scale for seconds in (2, 10, 60, 300, 900))

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        paid = outcome == "paid"
        return {
            "notify_url": charge.details["notify_url"],
            "event": {
                "event_id": f"evt_{charge.gateway_id}_{outcome}",
                "payment_id": charge.gateway_id,
                "reference": charge.reference,
                "status": outcome,
                "amount": charge.current_amount,
                "currency": charge.currency,
                "paid_at": clock.iso(charge.paid_at) if paid and charge.paid_at else None,
                "reason": reason or _reason(outcome, None),
            },
        }

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        body = json.dumps(fields["event"]).encode()
        moment = str(int(clock.now()))
        secret = secrets.token_bytes(32) if forged else self.secrets[0]
        proof = hmac.new(secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        return WebhookRequest(
            method="POST",
            url=fields["notify_url"],
            headers={
                "Content-Type": "application/json",
                "X-FptPay-Signature": f"t={moment},v1={proof}",
            },
            body=body,
        )

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return status_code == 200 and response_field(answer, "code") == "00"


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _reason(status: str, given: str | None) -> str | None:
    return given or {"declined": "insufficient_funds", "expired": "not_paid_in_time"}.get(status)
