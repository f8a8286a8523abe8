"""Stripe's API for merchants: checkout sessions, payment intents, and refunds."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import clock
from sandbox.charges import Charge
from sandbox.stripe.objects import has_intent, intent, session
from sandbox.stripe.rules import (
    INTENT,
    REFUND,
    SESSION,
    TEST_CARDS,
    Declined,
    Form,
    StripeRefused,
    check_amount,
    check_form,
    invalid_parameter,
    metadata_of,
    not_found,
    parse_form,
)
from sandbox.web import Endpoint, Json, equal_in_constant_time
from sandbox.world import World

A_DAY = 86_400
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"


class MerchantApi:
    """The merchant's routes; `send_webhook` reports changes that no customer made."""

    def __init__(self, world: World, send_webhook: Callable[[Charge, str], None]) -> None:
        self.world = world
        self.charges = world.charges
        self.send_webhook = send_webhook
        self.api_key = world.settings.stripe.api_key.get_secret_value()

    def routes(self) -> list[Route]:
        return [
            Route(SESSIONS, self._idempotent(self.create_session), methods=["POST"]),
            Route(SESSIONS, self._authenticated(self.list_sessions), methods=["GET"]),
            Route(f"{SESSIONS}/{{id}}", self._authenticated(self.session)),
            Route(f"{SESSIONS}/{{id}}/expire", self._idempotent(self.expire), methods=["POST"]),
            Route(INTENTS, self._idempotent(self.create_intent), methods=["POST"]),
            Route(INTENTS, self._authenticated(self.list_intents), methods=["GET"]),
            Route(f"{INTENTS}/{{id}}", self._authenticated(self.intent)),
            Route(
                f"{INTENTS}/{{id}}/cancel", self._idempotent(self.cancel_intent), methods=["POST"]
            ),
            Route("/v1/refunds", self._idempotent(self.create_refund), methods=["POST"]),
            Route("/v1/refunds", self._authenticated(self.list_refunds), methods=["GET"]),
        ]

    # Authentication and idempotency

    def _authenticated(self, answer: Callable[[Request], Json]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._check_key(request)
            return JSONResponse(answer(request))

        return endpoint

    def _idempotent(self, perform: Callable[[Request, Form], Json]) -> Endpoint:
        """
        Return an endpoint that repeats its first answer for a repeated key.

        Declines are repeated too; invalid requests are not stored.
        """

        async def endpoint(request: Request) -> Response:
            self._check_key(request)
            form = parse_form(await request.body())
            key = request.headers.get("idempotency-key", secrets.token_hex(16))
            if len(key) > 255:
                raise invalid_parameter(
                    "Idempotency-Key", "parameter_invalid", "the key is too long"
                )
            parameters = json.dumps([request.url.path, sorted(form.items())])
            fingerprint = hashlib.sha256(parameters.encode()).hexdigest()
            first = self.world.store.fetch_row(
                "select * from answers where system = 'stripe' and key = ?", key
            )
            if first is not None:
                if first["fingerprint"] != fingerprint:
                    message = (
                        "Keys for idempotent requests can only be used with the same parameters"
                    )
                    raise StripeRefused(400, "idempotency_error", message=message)
                replayed = {"Idempotent-Replayed": "true"}
                return Response(first["body"], first["status"], replayed, "application/json")
            with self.world.store.transaction():
                try:
                    response: Response = JSONResponse(perform(request, form))
                except Declined as declined:  # a decline is the outcome of a valid request
                    response = declined.response
                self.world.store.execute(
                    "insert into answers values ('stripe', '', ?, ?, ?, ?)",
                    key, fingerprint, response.status_code, bytes(response.body).decode(),
                )  # fmt: skip
            return response

        return endpoint

    def _check_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not equal_in_constant_time(given.strip(), self.api_key):
            raise StripeRefused(401, "invalid_request_error", message="Invalid API Key provided")

    # Checkout sessions

    def create_session(self, request: Request, form: Form) -> Json:
        check_form(form, SESSION)
        now = int(clock.now())
        ends = int(form.get("expires_at", now + A_DAY))
        if not now + 1800 <= ends <= now + A_DAY:
            message = "expires_at must be between 30 minutes and 24 hours from now"
            raise invalid_parameter("expires_at", "parameter_invalid", message)
        price = "line_items[0][price_data]"
        amount = int(form[f"{price}[unit_amount]"]) * int(form["line_items[0][quantity]"])
        token = secrets.token_hex(29)
        charge = self._open(
            reference=form.get("client_reference_id"),
            amount=check_amount(amount, f"{price}[unit_amount]"),
            currency=form[f"{price}[currency]"],
            token=token,
            expires_at=ends,
            payment_url=f"{request.base_url}stripe/c/pay/{token}#{secrets.token_hex(120)}",
            details={
                "kind": "session",
                "about": form[f"{price}[product_data][name]"],
                "return_url": form["success_url"],
                "metadata": metadata_of(form, "payment_intent_data"),
                "session_metadata": metadata_of(form),
            },
        )
        return session(charge)

    def session(self, request: Request) -> Json:
        return session(self._session(request), whole=_expands(request))

    def list_sessions(self, request: Request) -> Json:
        return self._page(request, "session", lambda item: session(item, whole=_expands(request)))

    def expire(self, request: Request, form: Form) -> Json:
        charge = self._session(request)
        if charge.current_status != "pending":
            raise invalid_parameter("id", "resource_invalid", "this session is not open")
        return session(self._end(charge))

    def _session(self, request: Request) -> Charge:
        token = request.path_params["id"].removeprefix("cs_test_")
        charge = self.charges.find_by("token", token)
        if charge is None or charge.details.get("kind") != "session":
            raise not_found("checkout.session")
        return charge

    # Payment intents

    def create_intent(self, request: Request, form: Form) -> Json:
        check_form(form, INTENT)
        card = form.get("payment_method") or form.get("payment_method_data[card][token]")
        if card is None or card not in TEST_CARDS:
            raise invalid_parameter("payment_method", "resource_missing", "No such PaymentMethod")
        token = secrets.token_hex(29)
        charge = self._open(
            reference=metadata_of(form).get("reference"),
            amount=check_amount(int(form["amount"]), "amount"),
            currency=form["currency"],
            token=token,
            expires_at=clock.now() + A_DAY,
            payment_url=f"{request.base_url}stripe/c/pay/{token}",
            details={
                "kind": "intent",
                "about": form.get("description", ""),
                "return_url": form.get("return_url"),
                "metadata": metadata_of(form),
            },
        )
        decline_code = TEST_CARDS[card]
        if decline_code is None:
            charge = self.charges.set_status(charge, "paid", charge.amount, None)
            self.send_webhook(charge, "paid")
        elif decline_code:
            charge = self.charges.set_status(charge, "declined", None, decline_code)
            self.send_webhook(charge, "declined")
            raise Declined(decline_code, payment_intent=intent(charge))
        return intent(charge)

    def intent(self, request: Request) -> Json:
        return intent(self._intent(request.path_params["id"]))

    def cancel_intent(self, request: Request, form: Form) -> Json:
        charge = self._intent(request.path_params["id"])
        if charge.current_status not in ("pending", "declined"):
            raise invalid_parameter("id", "payment_intent_unexpected_state", "it has ended")
        return intent(self._end(charge))

    def _end(self, charge: Charge) -> Charge:
        """Close the charge for the merchant and send its webhook."""
        ended = self.charges.set_status(charge, "expired", None, None, closed={"by": "merchant"})
        self.send_webhook(ended, "expired")
        return ended

    def list_intents(self, request: Request) -> Json:
        return self._page(request, None, intent)

    def _intent(self, id: str) -> Charge:
        charge = self.charges.find_by("gateway_id", id)
        if charge is None or not has_intent(charge):
            raise not_found("payment_intent")
        return charge

    # Refunds

    def create_refund(self, request: Request, form: Form) -> Json:
        check_form(form, REFUND)
        charge = self._intent(form["payment_intent"])
        left = charge.current_amount - self.charges.refunded(charge)
        amount = int(form.get("amount", left))
        if charge.status != "paid":
            raise invalid_parameter("payment_intent", "charge_not_captured", "nothing was charged")
        if left == 0:
            raise invalid_parameter(
                "payment_intent", "charge_already_refunded", "the payment is already refunded"
            )
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount ({left})"
            raise invalid_parameter("amount", "amount_too_large", message)
        name = metadata_of(form).get("reference") or secrets.token_hex(8)
        try:
            self.charges.refund(charge, name, amount)
        except sqlite3.IntegrityError:  # another key for the same refund: Stripe would refund again
            self.charges.refund(charge, f"{name}:{secrets.token_hex(4)}", amount)
        return self._refunds(charge)[0]

    def list_refunds(self, request: Request) -> Json:
        charge = self._intent(request.query_params.get("payment_intent", ""))
        data = self._refunds(charge)
        return {"object": "list", "url": "/v1/refunds", "data": data, "has_more": False}

    def _refunds(self, charge: Charge) -> list[Json]:
        """Return the refunds of a charge, newest first."""
        return [
            {
                "id": f"re_{refund['gateway_id']}",
                "object": "refund",
                "amount": refund["amount"],
                "currency": charge.currency.lower(),
                "payment_intent": charge.gateway_id,
                "metadata": {"reference": refund["refund_reference"].partition(":")[0]},
                "status": "succeeded",
                "created": int(refund["at"]),
            }
            for refund in reversed(self.charges.refunds())
            if refund["charge_id"] == charge.id
        ]

    # Shared by sessions and intents

    def _open(self, *, reference: str | None, currency: str, **more: Any) -> Charge:
        """Open a charge; its number is unique, because charges may share a reference."""
        number = f"pi_3{self.charges.number()}"
        charge = self.charges.open(
            gateway="stripe",
            reference=reference or number,
            day=number,
            gateway_id=number,
            currency=currency.upper(),
            **more,
        )
        assert charge is not None
        return charge

    def _page(self, request: Request, kind: str | None, show: Callable[[Charge], Json]) -> Json:
        query = request.query_params
        since, until = query.get("created[gte]", "0"), query.get("created[lte]", "9" * 10)
        limit = int(query.get("limit", "10"))
        found = [
            show(charge)
            for charge in reversed(self.charges.all())
            if charge.gateway == "stripe"
            and (charge.details["kind"] == kind if kind else has_intent(charge))
            and int(since) <= int(charge.created_at) <= int(until)
        ]
        if (after := query.get("starting_after")) is not None:
            ids = [item["id"] for item in found]
            if after not in ids:
                raise not_found("object to start after")
            found = found[ids.index(after) + 1 :]
        path = request.url.path.removeprefix("/stripe")
        more = len(found) > limit
        return {"object": "list", "url": path, "data": found[:limit], "has_more": more}


def _expands(request: Request) -> bool:
    wanted = {value for name, value in request.query_params.multi_items() if "expand[" in name}
    return bool(wanted & {"payment_intent", "data.payment_intent"})
