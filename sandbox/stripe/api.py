"""What a merchant asks of Stripe: to open a page, to charge a token, to give back, and how it stands."""

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
from sandbox.stripe.objects import intent, session, tried
from sandbox.stripe.rules import (
    INTENT,
    REFUND,
    SESSION,
    TOKENS,
    Declined,
    Form,
    StripeRefused,
    check,
    check_amount,
    form_of,
    no_such,
    tags,
    wrong,
)
from sandbox.web import Endpoint, Json, same
from sandbox.world import World

A_DAY = 86_400
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"


class MerchantApi:
    """`tell` has the merchant told of what became of a charge that was not the customer's doing."""

    def __init__(self, world: World, tell: Callable[[Charge, str], None]) -> None:
        self.world = world
        self.charges = world.charges
        self.tell = tell
        self.api_key = world.settings.stripe.api_key.get_secret_value()

    def routes(self) -> list[Route]:
        return [
            Route(SESSIONS, self._once(self.create_session), methods=["POST"]),
            Route(SESSIONS, self._known(self.list_sessions), methods=["GET"]),
            Route(f"{SESSIONS}/{{id}}", self._known(self.session)),
            Route(f"{SESSIONS}/{{id}}/expire", self._once(self.expire), methods=["POST"]),
            Route(INTENTS, self._once(self.create_intent), methods=["POST"]),
            Route(INTENTS, self._known(self.list_intents), methods=["GET"]),
            Route(f"{INTENTS}/{{id}}", self._known(self.intent)),
            Route(f"{INTENTS}/{{id}}/cancel", self._once(self.cancel_intent), methods=["POST"]),
            Route("/v1/refunds", self._once(self.create_refund), methods=["POST"]),
            Route("/v1/refunds", self._known(self.list_refunds), methods=["GET"]),
        ]

    # Who asks, and whether for the first time

    def _known(self, answer: Callable[[Request], Json]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._check_key(request)
            return JSONResponse(answer(request))

        return endpoint

    def _once(self, act: Callable[[Request, Form], Json]) -> Endpoint:
        """A repeat is answered as the first time, a decline too; what was never begun is not kept."""

        async def endpoint(request: Request) -> Response:
            self._check_key(request)
            form = form_of(await request.body())
            key = request.headers.get("idempotency-key", secrets.token_hex(16))
            if len(key) > 255:
                raise wrong("Idempotency-Key", "parameter_invalid", "the key is too long")
            said = json.dumps([request.url.path, sorted(form.items())])
            print_ = hashlib.sha256(said.encode()).hexdigest()
            first = self.world.store.one(
                "select * from answers where system = 'stripe' and key = ?", key
            )
            if first is not None:
                if first["fingerprint"] != print_:
                    message = (
                        "Keys for idempotent requests can only be used with the same parameters"
                    )
                    raise StripeRefused(400, "idempotency_error", message=message)
                replayed = {"Idempotent-Replayed": "true"}
                return Response(first["body"], first["status"], replayed, "application/json")
            with self.world.store.transaction():
                try:
                    response: Response = JSONResponse(act(request, form))
                except Declined as declined:  # it was begun, and this is its outcome
                    response = declined.response
                self.world.store.run(
                    "insert into answers values ('stripe', '', ?, ?, ?, ?)",
                    key, print_, response.status_code, bytes(response.body).decode(),
                )  # fmt: skip
            return response

        return endpoint

    def _check_key(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not same(given.strip(), self.api_key):
            raise StripeRefused(401, "invalid_request_error", message="Invalid API Key provided")

    # Pages

    def create_session(self, request: Request, form: Form) -> Json:
        check(form, SESSION)
        now = int(clock.now())
        ends = int(form.get("expires_at", now + A_DAY))
        if not now + 1800 <= ends <= now + A_DAY:
            message = "expires_at must be between 30 minutes and 24 hours from now"
            raise wrong("expires_at", "parameter_invalid", message)
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
                "metadata": tags(form, "payment_intent_data"),
                "session_metadata": tags(form),
            },
        )
        return session(charge)

    def session(self, request: Request) -> Json:
        return session(self._session(request), whole=_expands(request))

    def list_sessions(self, request: Request) -> Json:
        return self._page(request, "session", lambda item: session(item, whole=_expands(request)))

    def expire(self, request: Request, form: Form) -> Json:
        charge = self._session(request)
        if charge.now != "pending":
            raise wrong("id", "resource_invalid", "this page is not open")
        return session(self._end(charge))

    def _session(self, request: Request) -> Charge:
        token = request.path_params["id"].removeprefix("cs_test_")
        charge = self.charges.known_as("token", token)
        if charge is None or charge.details.get("kind") != "session":
            raise no_such("checkout.session")
        return charge

    # Charges

    def create_intent(self, request: Request, form: Form) -> Json:
        check(form, INTENT)
        card = form.get("payment_method") or form.get("payment_method_data[card][token]")
        if card is None or card not in TOKENS:
            raise wrong("payment_method", "resource_missing", "No such PaymentMethod")
        token = secrets.token_hex(29)
        charge = self._open(
            reference=tags(form).get("reference"),
            amount=check_amount(int(form["amount"]), "amount"),
            currency=form["currency"],
            token=token,
            expires_at=clock.now() + A_DAY,
            payment_url=f"{request.base_url}stripe/c/pay/{token}",
            details={
                "kind": "intent",
                "about": form.get("description", ""),
                "return_url": form.get("return_url"),
                "metadata": tags(form),
            },
        )
        decline_code = TOKENS[card]
        if decline_code is None:
            charge = self.charges.become(charge, "paid", charge.amount, None)
            self.tell(charge, "paid")
        elif decline_code:
            charge = self.charges.become(charge, "declined", None, decline_code)
            self.tell(charge, "declined")
            raise Declined(decline_code, payment_intent=intent(charge))
        return intent(charge)

    def intent(self, request: Request) -> Json:
        return intent(self._intent(request.path_params["id"]))

    def cancel_intent(self, request: Request, form: Form) -> Json:
        charge = self._intent(request.path_params["id"])
        if charge.now not in ("pending", "declined"):
            raise wrong("id", "payment_intent_unexpected_state", "it has ended")
        return intent(self._end(charge))

    def _end(self, charge: Charge) -> Charge:
        """Close it at the merchant's wish, who is told of it as of any other end."""
        ended = self.charges.become(charge, "expired", None, None, closed={"by": "merchant"})
        self.tell(ended, "expired")
        return ended

    def list_intents(self, request: Request) -> Json:
        return self._page(request, None, intent)

    def _intent(self, id: str) -> Charge:
        charge = self.charges.known_as("gateway_id", id)
        if charge is None or not tried(charge):
            raise no_such("payment_intent")
        return charge

    # Refunds

    def create_refund(self, request: Request, form: Form) -> Json:
        check(form, REFUND)
        charge = self._intent(form["payment_intent"])
        left = charge.money - self.charges.refunded(charge)
        amount = int(form.get("amount", left))
        if charge.status != "paid":
            raise wrong("payment_intent", "charge_not_captured", "nothing was charged")
        if left == 0:
            raise wrong("payment_intent", "charge_already_refunded", "it has been refunded")
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount ({left})"
            raise wrong("amount", "amount_too_large", message)
        name = tags(form).get("reference") or secrets.token_hex(8)
        try:
            self.charges.refund(charge, name, amount)
        except sqlite3.IntegrityError:  # another key for the same: Stripe would pay it twice
            self.charges.refund(charge, f"{name}:{secrets.token_hex(4)}", amount)
        return self._refunds(charge)[0]

    def list_refunds(self, request: Request) -> Json:
        charge = self._intent(request.query_params.get("payment_intent", ""))
        data = self._refunds(charge)
        return {"object": "list", "url": "/v1/refunds", "data": data, "has_more": False}

    def _refunds(self, charge: Charge) -> list[Json]:
        """The newest first."""
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

    # What all have in common

    def _open(self, *, reference: str | None, currency: str, **more: Any) -> Charge:
        """Stripe makes as many of one reference as it is asked for: they are told apart by their numbers."""
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
        most = int(query.get("limit", "10"))
        found = [
            show(charge)
            for charge in reversed(self.charges.all())
            if charge.gateway == "stripe"
            and (charge.details["kind"] == kind if kind else tried(charge))
            and int(since) <= int(charge.created_at) <= int(until)
        ]
        if (after := query.get("starting_after")) is not None:
            ids = [item["id"] for item in found]
            if after not in ids:
                raise no_such("object to start after")
            found = found[ids.index(after) + 1 :]
        path = request.url.path.removeprefix("/stripe")
        more = len(found) > most
        return {"object": "list", "url": path, "data": found[:most], "has_more": more}


def _expands(request: Request) -> bool:
    wanted = {value for name, value in request.query_params.multi_items() if "expand[" in name}
    return bool(wanted & {"payment_intent", "data.payment_intent"})
