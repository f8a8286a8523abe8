"""
PayPal Orders v2: the customer approves an order on their page, and we then capture its money.

Only our own capture takes money. So an order is captured while its payment is open and never after,
and one whose number never reached us cannot be paid at all.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import orjson
import structlog

from domain.attempts import Attempt, AttemptStatus, Failure
from domain.evidence import Evidence, Finding, Grade
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from integrations.conversation import asked, begun, is_definite, unknown
from integrations.http import Answer, Unreadable, Upstream
from integrations.paypal_certificates import Certificates
from integrations.paypal_objects import DECLINED, Capture, Event, Order, Problem, to_wire
from integrations.webhooks import json_object
from integrations.wire import parse

_log = structlog.stdlib.get_logger("integrations.paypal")

CREATE, INQUIRY, CAPTURE = "paypal:create", "paypal:inquiry", "paypal:capture"
WEBHOOK = "paypal:webhook"
ORDERS = "/v2/checkout/orders"

_OPEN = frozenset({AttemptStatus.SENT, AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN})
# What a capture is refused for that leaves no doubt; with anything else we ask how the order stands.
_NO_MONEY = frozenset(
    {
        "INSTRUMENT_DECLINED",
        "PAYER_CANNOT_PAY",
        "PAYER_ACCOUNT_RESTRICTED",
        "TRANSACTION_REFUSED",
        "COMPLIANCE_VIOLATION",
    }
)
_STATUSES = {
    Verdict.ACCEPTED: 200,
    Verdict.ALREADY_DONE: 200,
    Verdict.WRONG_AMOUNT: 200,
    Verdict.UNKNOWN_REFERENCE: 404,
    Verdict.BAD_SIGNATURE: 401,
    Verdict.OUR_ERROR: 500,
}


class PayPal:
    """It takes no VND: an attempt's money is in dollars. `bearer` says who we are, or raises NotSent."""

    name = GatewayName.PAYPAL
    paths = ("paypal",)
    revocable = False  # a capture may be on its way while its payment ends
    ask_again_after = 3.0

    def __init__(
        self,
        http: Upstream,
        *,
        bearer: Callable[[], Awaitable[str]],
        refused: Callable[[], None],
        webhook_id: str,
        certificates: Certificates,
    ) -> None:
        self._http = http
        self._bearer = bearer
        self._refused = refused
        self._webhook_id = webhook_id
        self._certificates = certificates

    def ready(self) -> bool:
        return self._http.ready("start")

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        return await begun(self.name, CREATE, self._start(attempt, purchase))

    async def _start(self, attempt: Attempt, purchase: Purchase) -> Evidence:
        unit = {
            "reference_id": attempt.reference,
            "custom_id": attempt.reference,
            "invoice_id": attempt.reference,
            "description": purchase.description[:127],
            "amount": to_wire(attempt.money),
        }
        experience = {
            "return_url": purchase.return_url,
            "cancel_url": purchase.return_url,
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
        }
        return await self._http.call(
            "start",
            "POST",
            ORDERS,
            body={
                "intent": "CAPTURE",
                "purchase_units": [unit],
                "payment_source": {"paypal": {"experience_context": experience}},
            },
            headers=await self._headers(attempt.reference),
            read=self._read_start,
            repeatable=False,
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        if attempt.gateway_id is None:
            return Evidence(grade=Grade.NONE, source=INQUIRY, finding=Finding.UNPAID)
        if attempt.paid_under:  # its number is the capture's by now
            path = f"/v2/payments/captures/{attempt.gateway_id}"
            return await asked(INQUIRY, self._ask(attempt, path, Capture))
        order = await asked(INQUIRY, self._ask(attempt, f"{ORDERS}/{attempt.gateway_id}", Order))
        if order.finding is Finding.ACCEPTED and attempt.status in _OPEN:
            return await asked(CAPTURE, self._capture(attempt))
        return (
            replace(order, finding=Finding.UNPAID) if order.finding is Finding.ACCEPTED else order
        )

    async def _ask(
        self, attempt: Attempt, path: str, model: type[Order] | type[Capture]
    ) -> Evidence:
        """Return how it stands; ACCEPTED is an order that the customer has approved."""

        def read(answer: Answer) -> Evidence:
            if answer.status == 404 and parse(Problem, answer.body).name == "RESOURCE_NOT_FOUND":
                return Evidence(grade=Grade.E2, source=INQUIRY, finding=Finding.UNPAID)
            if not answer.ok:
                raise self._unreadable(answer)
            told = parse(model, answer.body)
            if told.reference != attempt.reference:
                _log.warning(
                    "inquiry_not_believed",
                    gateway="PAYPAL",
                    reference=attempt.reference,
                    why="it is about another reference",
                )
                return unknown(INQUIRY)
            said = told.evidence(INQUIRY, Grade.E2)
            approved = isinstance(told, Order) and told.is_approved
            waits = approved and said.finding is Finding.UNPAID
            return replace(said, finding=Finding.ACCEPTED) if waits else said

        return await self._http.call(
            "inquire", "GET", path, headers=await self._headers(), read=read, repeatable=True
        )

    async def _capture(self, attempt: Attempt) -> Evidence:
        """Take the money of an approved order. Silence is UNKNOWN: the next question finds what became of it."""

        def read(answer: Answer) -> Evidence:
            if answer.ok:
                order = parse(Order, answer.body)
                return order.evidence(CAPTURE, Grade.E2)
            issue = parse(Problem, answer.body).issue
            if answer.status != 422 or issue not in _NO_MONEY:
                raise self._unreadable(answer)
            failure = Failure(code=issue, message=DECLINED.message)
            return Evidence(
                grade=Grade.E2, source=CAPTURE, finding=Finding.DECLINED, failure=failure
            )

        return await self._http.call(
            "capture",
            "POST",
            f"{ORDERS}/{attempt.gateway_id}/capture",
            body={},
            headers=await self._headers(f"{attempt.reference}-capture"),
            read=read,
            repeatable=False,
        )

    async def prepare(self, call: Call) -> None:
        await self._certificates.fetch(call)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        self._certificates.check(call, self._webhook_id)
        json_object(call.body)  # refuses what repeats a member
        try:
            event = parse(Event, call.body)
            told = _told(event)
        except Unreadable as error:
            raise BadCall(str(error)) from None
        reference, evidence = told or (None, None)
        if reference is None:  # not about money of ours
            evidence = None
        return (Notice(event_id=event.id, reference=reference, evidence=evidence),)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=_STATUSES[verdict], body=orjson.dumps({"received": verdict}))

    async def _headers(self, request_id: str | None = None) -> dict[str, str]:
        headers = {"Authorization": await self._bearer(), "Prefer": "return=representation"}
        return headers if request_id is None else headers | {"PayPal-Request-Id": request_id}

    def _read_start(self, answer: Answer) -> Evidence:
        if not answer.ok:
            if not is_definite(answer.status):
                raise self._unreadable(answer)
            issue = parse(Problem, answer.body).issue
            if answer.status == 401:
                self._refused()
            failure = Failure(code=issue[:64], message=DECLINED.message)
            return Evidence(
                grade=Grade.E2, source=CREATE, finding=Finding.DECLINED, failure=failure
            )
        told = parse(Order, answer.body)
        if told.status not in {"CREATED", "PAYER_ACTION_REQUIRED"} or told.url is None:
            raise Unreadable("no page to approve it at")
        return replace(told.evidence(CREATE, Grade.E2), finding=Finding.ACCEPTED)

    def _unreadable(self, answer: Answer) -> Unreadable:
        if answer.status == 401:
            self._refused()
        return Unreadable(f"status {answer.status}")


def _told(event: Event) -> tuple[str | None, Evidence] | None:
    """Return the reference that an event is about, and what it says of its money."""
    about = json.dumps(event.resource).encode()  # a number may have any size
    match event.event_type:
        case "CHECKOUT.ORDER.APPROVED":  # no money yet: it makes us ask, and so capture
            said = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNKNOWN)
            return parse(Order, about).reference, said
        case "CHECKOUT.PAYMENT-APPROVAL.REVERSED":
            whole = event.resource | {"id": event.resource.get("order_id", event.id)}
            order = parse(Order, json.dumps(whole).encode()).model_copy(update={"status": "VOIDED"})
            return order.reference, order.evidence(WEBHOOK, Grade.E1)
        case "PAYMENT.CAPTURE.PENDING":
            said = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNPAID)
            return parse(Capture, about).reference, said
        case "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED":
            capture = parse(Capture, about)
            if not event.event_type.endswith("COMPLETED"):
                capture = capture.model_copy(update={"status": "DECLINED"})
            return capture.reference, capture.evidence(WEBHOOK, Grade.E1)
        case _:
            return None
