"""
PayPal Orders v2: the customer approves an order on their page, and we then capture its money.

Only our own capture takes money. So an order is captured while its payment is open and never after,
and one whose number never reached us cannot be paid at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import orjson
import structlog

from domain.attempts import Attempt, AttemptStatus, Failure
from domain.gateways import Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.client import Answer, Unreadable, Upstream
from integrations.http.conversation import asked, begun, is_definite, unheard, unknown
from integrations.http.parsing import Wire, parse, parse_as_written, unusable
from integrations.http.webhooks import event, json_object
from integrations.paypal import events, refunds
from integrations.paypal.certificates import Certificates
from integrations.paypal.objects import DECLINED, Capture, Event, Order, Problem, Refund, to_wire

_log = structlog.stdlib.get_logger("integrations.paypal.gateway.gateway")

CREATE, INQUIRY, CAPTURE = "paypal:create", "paypal:inquiry", "paypal:capture"
ORDERS = "/v2/checkout/orders"
CAPTURES, REFUNDS = "/v2/payments/captures", "/v2/payments/refunds"

T = TypeVar("T")
W = TypeVar("W", bound=Wire)

_OPEN = frozenset({AttemptStatus.SENT, AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN})
# Our key, or our pace: what is answered so was not begun, and no payer is at fault.
_OF_US = frozenset({401, 403, 429})
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
    methods = frozenset({"POST"})
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

    def retry_after_ms(self) -> int | None:
        return self._http.retry_after_ms("start")

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
            subject=purchase.description,
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        if attempt.gateway_id is None:
            return Evidence(source=None, origin=INQUIRY, result=GatewayResult.UNPAID)
        if attempt.paid_under:  # its number is the capture's by now
            path = f"{CAPTURES}/{attempt.gateway_id}"
            return await asked(INQUIRY, self._ask(attempt, path, Capture))
        order = await asked(INQUIRY, self._ask(attempt, f"{ORDERS}/{attempt.gateway_id}", Order))
        if order.result is GatewayResult.ACCEPTED and attempt.status in _OPEN:
            return await asked(CAPTURE, self._capture(attempt))
        return (
            replace(order, result=GatewayResult.UNPAID)
            if order.result is GatewayResult.ACCEPTED
            else order
        )

    async def _ask(
        self, attempt: Attempt, path: str, model: type[Order] | type[Capture]
    ) -> Evidence:
        """Return how it stands; ACCEPTED is an order that the customer has approved."""

        def read(answer: Answer) -> Evidence:
            if answer.status == 404 and parse(Problem, answer.body).name == "RESOURCE_NOT_FOUND":
                return Evidence(
                    source=EvidenceSource.INQUIRY, origin=INQUIRY, result=GatewayResult.UNPAID
                )
            if not answer.ok:
                raise self._unreadable(answer)
            told = parse_as_written(model, answer.body)
            if told.reference != attempt.reference:
                _log.warning(
                    "inquiry_not_believed",
                    gateway="PAYPAL",
                    reference=attempt.reference,
                    why="it is about another reference",
                )
                return unknown(INQUIRY)
            said = told.evidence(INQUIRY, EvidenceSource.INQUIRY)
            approved = isinstance(told, Order) and told.is_approved
            waits = approved and said.result is GatewayResult.UNPAID
            return replace(said, result=GatewayResult.ACCEPTED) if waits else said

        return await self._http.call(
            "inquire",
            "GET",
            path,
            headers=await self._headers(),
            read=read,
            repeatable=True,
            subject=attempt.reference,
        )

    async def _capture(self, attempt: Attempt) -> Evidence:
        """Take the money of an approved order. Silence is UNKNOWN: the next question finds what became of it."""

        def read(answer: Answer) -> Evidence:
            if answer.ok:
                order = parse_as_written(Order, answer.body)
                return order.evidence(CAPTURE, EvidenceSource.INQUIRY)
            issue = parse(Problem, answer.body).issue
            if answer.status != 422 or issue not in _NO_MONEY:
                raise self._unreadable(answer)
            failure = Failure(code=issue, message=DECLINED.message)
            return Evidence(
                source=EvidenceSource.INQUIRY,
                origin=CAPTURE,
                result=GatewayResult.DECLINED,
                failure=failure,
            )

        return await self._http.call(
            "capture",
            "POST",
            f"{ORDERS}/{attempt.gateway_id}/capture",
            body={},
            headers=await self._headers(f"{attempt.reference}-capture"),
            read=read,
            repeatable=False,
            subject=attempt.reference,
        )

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        if attempt.gateway_id is None:  # two people said that it was paid, and nobody knows by what
            return Evidence(source=None, origin=refunds.REFUND, result=GatewayResult.UNPAID)
        return await begun(
            self.name, refunds.REFUND, self._refund("refund", attempt, reversal, again=False)
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """
        Ask by its number where we were told it. Else ask for it again: under its id that is the same refund.

        Once they may have forgotten that id, the record of its order is the last word.
        """
        return await asked(refunds.REFUND, self._inquire_refund(attempt, reversal, now))

    async def _inquire_refund(
        self, attempt: Attempt, reversal: Reversal, now: datetime
    ) -> Evidence:
        if reversal.gateway_id is not None:
            path = f"{REFUNDS}/{reversal.gateway_id}"
            return await self._get(
                reversal, path, Refund, lambda told: refunds.evidence(reversal, told)
            )
        if now - (reversal.sent_at or reversal.created_at) < refunds.KEY_LIVES:
            return await self._refund("inquire_refund", attempt, reversal, again=True)
        path = f"{CAPTURES}/{attempt.gateway_id}"
        order = await self._get(reversal, path, Capture, lambda told: told.order)
        if order is None:
            return unknown(refunds.REFUND)
        return await self._get(
            reversal,
            f"{ORDERS}/{order}",
            Order,
            lambda told: refunds.listed(attempt, reversal, told),
        )

    async def _refund(
        self, operation: str, attempt: Attempt, reversal: Reversal, *, again: bool
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            if answer.status == 401:
                self._refused()
            return refunds.read(reversal, answer, again=again)

        return await self._http.call(
            operation,
            "POST",
            f"{CAPTURES}/{attempt.gateway_id}/refund",
            body=refunds.body(attempt, reversal),
            headers=await self._headers(reversal.id),
            read=read,
            repeatable=again,
            subject=reversal.id,
        )

    async def _get(self, reversal: Reversal, path: str, model: type[W], say: Callable[[W], T]) -> T:
        """Return what one of their records has to say of a refund."""

        def read(answer: Answer) -> T:
            if not answer.ok:
                raise self._unreadable(answer)
            return say(parse_as_written(model, answer.body))

        return await self._http.call(
            "inquire_refund",
            "GET",
            path,
            headers=await self._headers(),
            read=read,
            repeatable=True,
            subject=reversal.id,
        )

    async def prepare(self, call: Call) -> None:
        await self._certificates.fetch(call)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        self._certificates.check(call, self._webhook_id)
        return (events.notice(event(Event, json_object(call.body))),)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=_STATUSES[verdict], body=orjson.dumps({"received": verdict}))

    async def _headers(self, request_id: str | None = None) -> dict[str, str]:
        headers = {"Authorization": await self._bearer(), "Prefer": "return=representation"}
        return headers if request_id is None else headers | {"PayPal-Request-Id": request_id}

    def _read_start(self, answer: Answer) -> Evidence:
        if not answer.ok:
            if not is_definite(answer.status):
                raise self._unreadable(answer)
            if answer.status in _OF_US:
                if answer.status == 401:
                    self._refused()
                return unheard(self.name, CREATE, f"HTTP_{answer.status}")
            issue = parse(Problem, answer.body).issue
            failure = Failure(code=issue[:64], message=DECLINED.message)
            return Evidence(
                source=EvidenceSource.INQUIRY,
                origin=CREATE,
                result=GatewayResult.DECLINED,
                failure=failure,
            )
        told = parse_as_written(Order, answer.body)
        if told.status not in {"CREATED", "PAYER_ACTION_REQUIRED"} or told.url is None:
            raise Unreadable("no page to approve it at")
        return replace(told.evidence(CREATE, EvidenceSource.INQUIRY), result=GatewayResult.ACCEPTED)

    def _unreadable(self, answer: Answer) -> Unreadable:
        if answer.status == 401:
            self._refused()
        return unusable(answer)
