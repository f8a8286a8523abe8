"""
PayPal Orders v2: the customer approves an order on PayPal's page, and we then capture its money.

Only our capture takes money. An order is captured while its payment is open, and never afterwards.
An order whose id we never received cannot be paid.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import orjson

from domain.attempts import Attempt, AttemptStatus, Failure
from domain.gateways import Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.client import Upstream
from integrations.http.conversation import (
    declined_evidence,
    evidence_of_charge,
    evidence_of_inquiry,
    evidence_of_our_fault,
    is_definite,
    unknown_evidence,
    unpaid_evidence,
    untrusted_evidence,
)
from integrations.http.failures import Unreadable
from integrations.http.gateway import HttpGateway
from integrations.http.messages import Answer, Request
from integrations.http.parsing import WireModel, parse, parse_with_raw_numbers, unusable
from integrations.http.webhooks import parse_event, parse_json_object
from integrations.paypal import events, refunds
from integrations.paypal.certificates import Certificates
from integrations.paypal.objects import (
    DECLINED,
    Capture,
    Event,
    Order,
    Problem,
    Refund,
    format_amount,
)

CREATE, INQUIRY, CAPTURE = "paypal:create", "paypal:inquiry", "paypal:capture"
ORDERS = "/v2/checkout/orders"
CAPTURES, REFUNDS = "/v2/payments/captures", "/v2/payments/refunds"

Result = TypeVar("Result")
Model = TypeVar("Model", bound=WireModel)

_OPEN = frozenset({AttemptStatus.SENT, AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN})
# These refuse our key or our rate: nothing was started, and the payer is not the reason.
_OUR_FAULT = frozenset({401, 403, 429})
# The codes that decline a capture for good. After any other code we inquire about the order.
_CAPTURE_DECLINED = frozenset(
    {
        "INSTRUMENT_DECLINED",
        "PAYER_CANNOT_PAY",
        "PAYER_ACCOUNT_RESTRICTED",
        "TRANSACTION_REFUSED",
        "COMPLIANCE_VIOLATION",
    }
)
_REPLY_STATUSES = {
    Verdict.ACCEPTED: 200,
    Verdict.ALREADY_DONE: 200,
    Verdict.WRONG_AMOUNT: 200,
    Verdict.UNKNOWN_REFERENCE: 404,
    Verdict.BAD_SIGNATURE: 401,
    Verdict.OUR_ERROR: 500,
}


class PayPal(HttpGateway):
    """
    PayPal takes no VND, so an attempt's money is in dollars (resolvers/gateways.py converts it).

    `bearer` returns the Authorization header or raises NotConnected. `on_token_refused` is
    called when PayPal refuses that header.
    """

    name = GatewayName.PAYPAL
    paths = ("paypal",)
    methods = frozenset({"POST"})
    revocable = False  # a capture may be processed while its payment ends
    inquiry_interval = 3.0

    def __init__(
        self,
        http: Upstream,
        *,
        bearer: Callable[[], Awaitable[str]],
        on_token_refused: Callable[[], None],
        webhook_id: str,
        certificates: Certificates,
    ) -> None:
        super().__init__(http)
        self._bearer = bearer
        self._on_token_refused = on_token_refused
        self._webhook_id = webhook_id
        self._certificates = certificates

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        return await evidence_of_charge(self.name, CREATE, self._create(attempt, purchase))

    async def _create(self, attempt: Attempt, purchase: Purchase) -> Evidence:
        unit = {
            "reference_id": attempt.reference,
            "custom_id": attempt.reference,
            "invoice_id": attempt.reference,
            "description": purchase.description[:127],
            "amount": format_amount(attempt.money),
        }
        experience = {
            "return_url": purchase.return_url,
            "cancel_url": purchase.return_url,
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
        }
        request = Request(
            operation="start",
            method="POST",
            path=ORDERS,
            body={
                "intent": "CAPTURE",
                "purchase_units": [unit],
                "payment_source": {"paypal": {"experience_context": experience}},
            },
            headers=await self._headers(attempt.reference),
            subject=purchase.description,
        )
        return await self._http.call(request, self._interpret_create)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        id = attempt.gateway_id
        if id is None:
            return Evidence(source=None, origin=INQUIRY, result=GatewayResult.UNPAID)
        if attempt.paid_under:  # its id is the capture's by now
            return await evidence_of_inquiry(
                INQUIRY, self._state(attempt, f"{CAPTURES}/{id}", Capture)
            )
        order = await evidence_of_inquiry(INQUIRY, self._state(attempt, f"{ORDERS}/{id}", Order))
        if order.result is not GatewayResult.ACCEPTED:
            return order
        if attempt.status in _OPEN:
            return await evidence_of_inquiry(CAPTURE, self._capture(attempt))
        return replace(order, result=GatewayResult.UNPAID)

    async def _state(
        self, attempt: Attempt, path: str, model: type[Order] | type[Capture]
    ) -> Evidence:
        """Return the state of an order or capture; ACCEPTED is an order that is approved."""

        def read(answer: Answer) -> Evidence:
            if answer.status == 404 and parse(Problem, answer.body).name == "RESOURCE_NOT_FOUND":
                return unpaid_evidence(INQUIRY)
            if not answer.ok:
                raise self._unusable(answer)
            payment = parse_with_raw_numbers(model, answer.body)
            if payment.reference != attempt.reference:
                return untrusted_evidence(
                    self.name, INQUIRY, attempt.reference, reason="another reference"
                )
            evidence = payment.evidence(INQUIRY, EvidenceSource.INQUIRY)
            approved = isinstance(payment, Order) and payment.is_approved
            waits = approved and evidence.result is GatewayResult.UNPAID
            return replace(evidence, result=GatewayResult.ACCEPTED) if waits else evidence

        request = Request(
            operation="inquire",
            method="GET",
            path=path,
            headers=await self._headers(),
            subject=attempt.reference,
            repeatable=True,
        )
        return await self._http.call(request, read)

    async def _capture(self, attempt: Attempt) -> Evidence:
        """Take the money of an approved order. Silence is UNKNOWN until the next inquiry."""
        request = Request(
            operation="capture",
            method="POST",
            path=f"{ORDERS}/{attempt.gateway_id}/capture",
            body={},
            headers=await self._headers(f"{attempt.reference}-capture"),
            subject=attempt.reference,
        )
        return await self._http.call(request, self._interpret_capture)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        if attempt.gateway_id is None:  # two people decided that it was paid; no capture is known
            return Evidence(source=None, origin=refunds.REFUND, result=GatewayResult.UNPAID)
        call = self._refund("refund", attempt, reversal, repeated=False)
        return await evidence_of_charge(self.name, refunds.REFUND, call)

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """
        Inquire by the refund's id if we know it. Else repeat the request: it is the same refund.

        Once PayPal may have forgotten the request's id, the order's record decides.
        """
        call = self._refund_state(attempt, reversal, now)
        return await evidence_of_inquiry(refunds.REFUND, call)

    async def _refund_state(self, attempt: Attempt, reversal: Reversal, now: datetime) -> Evidence:
        if reversal.gateway_id is not None:
            path = f"{REFUNDS}/{reversal.gateway_id}"
            return await self._get(
                reversal, path, Refund, lambda refund: refunds.evidence(reversal, refund)
            )
        if now - (reversal.sent_at or reversal.created_at) < refunds.KEY_LIFETIME:
            return await self._refund("inquire_refund", attempt, reversal, repeated=True)
        path = f"{CAPTURES}/{attempt.gateway_id}"
        order_id = await self._get(reversal, path, Capture, lambda capture: capture.order_id)
        if order_id is None:
            return unknown_evidence(refunds.REFUND)
        return await self._get(
            reversal,
            f"{ORDERS}/{order_id}",
            Order,
            lambda order: refunds.interpret_refund_query(attempt, reversal, order),
        )

    async def _refund(
        self, operation: str, attempt: Attempt, reversal: Reversal, *, repeated: bool
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            self._discard_refused_token(answer)
            return refunds.interpret_refund(reversal, answer, repeated=repeated)

        request = Request(
            operation=operation,
            method="POST",
            path=f"{CAPTURES}/{attempt.gateway_id}/refund",
            body=refunds.body(attempt, reversal),
            headers=await self._headers(reversal.id),
            subject=reversal.id,
            repeatable=repeated,
        )
        return await self._http.call(request, read)

    async def _get(
        self,
        reversal: Reversal,
        path: str,
        model: type[Model],
        interpret: Callable[[Model], Result],
    ) -> Result:
        """Return what *interpret* makes of one of PayPal's records."""

        def read(answer: Answer) -> Result:
            if not answer.ok:
                raise self._unusable(answer)
            return interpret(parse_with_raw_numbers(model, answer.body))

        request = Request(
            operation="inquire_refund",
            method="GET",
            path=path,
            headers=await self._headers(),
            subject=reversal.id,
            repeatable=True,
        )
        return await self._http.call(request, read)

    async def prepare(self, call: Call) -> None:
        await self._certificates.fetch(call)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        self._certificates.check(call, self._webhook_id)
        return (events.interpret_event(parse_event(Event, parse_json_object(call.body))),)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=_REPLY_STATUSES[verdict], body=orjson.dumps({"received": verdict}))

    async def _headers(self, request_id: str | None = None) -> dict[str, str]:
        headers = {"Authorization": await self._bearer(), "Prefer": "return=representation"}
        return headers if request_id is None else headers | {"PayPal-Request-Id": request_id}

    def _interpret_create(self, answer: Answer) -> Evidence:
        if not answer.ok:
            if not is_definite(answer.status):
                raise self._unusable(answer)
            if answer.status in _OUR_FAULT:
                self._discard_refused_token(answer)
                return evidence_of_our_fault(self.name, CREATE, f"HTTP_{answer.status}")
            issue = parse(Problem, answer.body).issue
            return declined_evidence(CREATE, Failure(code=issue[:64], message=DECLINED.message))
        order = parse_with_raw_numbers(Order, answer.body)
        if order.status not in {"CREATED", "PAYER_ACTION_REQUIRED"} or order.url is None:
            raise Unreadable("the order cannot be approved, or has no page")
        evidence = order.evidence(CREATE, EvidenceSource.INQUIRY)
        return replace(evidence, result=GatewayResult.ACCEPTED)

    def _interpret_capture(self, answer: Answer) -> Evidence:
        if answer.ok:
            order = parse_with_raw_numbers(Order, answer.body)
            return order.evidence(CAPTURE, EvidenceSource.INQUIRY)
        issue = parse(Problem, answer.body).issue
        if answer.status != 422 or issue not in _CAPTURE_DECLINED:
            raise self._unusable(answer)
        return declined_evidence(CAPTURE, Failure(code=issue, message=DECLINED.message))

    def _unusable(self, answer: Answer) -> Unreadable:
        self._discard_refused_token(answer)
        return unusable(answer)

    def _discard_refused_token(self, answer: Answer) -> None:
        if answer.status == 401:
            self._on_token_refused()
