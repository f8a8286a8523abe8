"""
Stripe, for cards: a Checkout page, or a token that is charged at once; never a card's number.

We call its REST API with our own client. Stripe's library cannot tell a request that was not sent
from one without an answer, has no circuit breaker, and takes a second to load.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode

import orjson
import structlog

from domain.attempts import Attempt
from domain.gateways import Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.client import Upstream
from integrations.http.conversation import (
    declined_evidence,
    evidence_of_inquiry,
    evidence_of_our_fault,
    is_definite,
    unpaid_evidence,
    untrusted_evidence,
)
from integrations.http.failures import Unanswered, Unreadable, Unusable
from integrations.http.gateway import HttpGateway
from integrations.http.messages import Answer, Request
from integrations.http.parsing import WireModel, parse, parse_with_raw_numbers, unusable
from integrations.http.webhooks import check_timed_signature, parse_event, parse_json_object
from integrations.stripe import events, refunds, requests
from integrations.stripe.objects import ErrorResponse, Event, Intent, ObjectList, Session

_log = structlog.stdlib.get_logger("integrations.stripe.gateway")

CREATE, INQUIRY, CLOSE = "stripe:create", "stripe:inquiry", "stripe:close"

VERSION = "2026-06-24.dahlia"  # of Stripe's API, whose objects we parse
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"
# By Stripe's clock, an object was made within this time of our request.
_CLOCK_DIFFERENCE = timedelta(minutes=2)
_MAX_PAGES = 10  # of a list
# These refuse our key or our rate: nothing was started, and the card is not the reason.
_OUR_FAULT = frozenset({401, 403, 429})

Payment = TypeVar("Payment", Session, Intent)
Model = TypeVar("Model", bound=WireModel)

_REPLY_STATUSES = {
    Verdict.ACCEPTED: 200,
    Verdict.ALREADY_DONE: 200,
    Verdict.WRONG_AMOUNT: 200,
    Verdict.UNKNOWN_REFERENCE: 404,
    Verdict.BAD_SIGNATURE: 400,
    Verdict.OUR_ERROR: 500,
}


class Stripe(HttpGateway):
    """Each of `webhook_secrets` verifies: two during a rotation. Amounts are in minor units."""

    name = GatewayName.STRIPE
    paths = ("stripe",)
    methods = frozenset({"POST"})
    revocable = False
    inquiry_interval = 3.0

    def __init__(self, http: Upstream, *, api_key: str, webhook_secrets: Sequence[str]) -> None:
        assert webhook_secrets, "Stripe needs a webhook secret"
        super().__init__(http)
        self._headers = {"Authorization": f"Bearer {api_key}", "Stripe-Version": VERSION}
        self._secrets = tuple(webhook_secrets)

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        if purchase.card_token is None:
            path, form, read = SESSIONS, requests.page(attempt, purchase), _interpret_page
        else:
            path, form, read = INTENTS, requests.charge(attempt, purchase), _interpret_charge
        request = Request(
            operation="start",
            method="POST",
            path=path,
            form=form,
            headers=self._headers | {"Idempotency-Key": attempt.reference},
            subject=purchase.description,
        )
        return await self._charge(CREATE, request, read)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """
        Inquire by Stripe's id. If the answer with the id was lost, search the lists of that time.

        Lists are exact at once; Stripe's search is not. A repeated request would need the
        customer's card token, which we never store.
        """
        return await evidence_of_inquiry(INQUIRY, self._state(attempt))

    async def _state(self, attempt: Attempt) -> Evidence:
        id = attempt.gateway_id or ""
        if id.startswith("cs_"):
            path, query = f"{SESSIONS}/{id}", "expand[]=payment_intent"
            return _interpret_inquiry(attempt, await self._get(attempt, path, query, Session))
        if id:
            intent = await self._get(attempt, f"{INTENTS}/{id}", None, Intent)
            return _interpret_inquiry(attempt, intent)
        expanded = {"expand[]": "data.payment_intent"}
        session = await self._search(attempt, SESSIONS, ObjectList[Session], expanded)
        payment = session or await self._search(attempt, INTENTS, ObjectList[Intent], {})
        if payment is None:
            return unpaid_evidence(INQUIRY)
        return payment.evidence(INQUIRY, EvidenceSource.INQUIRY)

    async def _search(
        self, attempt: Attempt, path: str, model: type[ObjectList[Payment]], query: dict[str, str]
    ) -> Payment | None:
        """Return the attempt's object from a list; None if the whole list does not hold it."""
        sent_at = attempt.sent_at or attempt.created_at
        query |= {
            "limit": "100",
            "created[gte]": str(int((sent_at - _CLOCK_DIFFERENCE).timestamp())),
            "created[lte]": str(int((sent_at + _CLOCK_DIFFERENCE).timestamp())),
        }
        for _ in range(_MAX_PAGES):
            page = await self._get(attempt, path, urlencode(query), model)
            for payment in page.data:
                if payment.reference == attempt.reference:
                    return payment
            if not page.has_more or not page.data:
                return None
            query["starting_after"] = page.data[-1].id
        _log.warning("stripe_list_too_long", reference=attempt.reference)
        raise Unanswered("stripe", "inquire", "the list of that time is too long")

    async def _get(
        self, attempt: Attempt, path: str, query: str | None, model: type[Model]
    ) -> Model:
        def read(answer: Answer) -> Model:
            if not answer.ok:
                raise unusable(answer)
            return parse_with_raw_numbers(model, answer.body)

        request = Request(
            operation="inquire",
            method="GET",
            path=path,
            query=query,
            headers=self._headers,
            subject=attempt.reference,
            repeatable=True,
        )
        return await self._http.call(request, read)

    async def close(self, attempt: Attempt, *, now: datetime) -> Evidence:
        return await evidence_of_inquiry(CLOSE, self._close(attempt))

    async def _close(self, attempt: Attempt) -> Evidence:
        id = attempt.gateway_id
        assert id is not None, "only an object with a known id can be closed"
        is_page = id.startswith("cs_")

        def read(answer: Answer) -> bool:
            if answer.ok:
                payment = parse_with_raw_numbers(Session if is_page else Intent, answer.body)
                return payment.reference == attempt.reference and payment.is_closed
            if not is_definite(answer.status) or answer.status in _OUR_FAULT:
                raise unusable(answer)
            return False  # it is not open: it was paid, or has ended

        request = Request(
            operation="close",
            method="POST",
            path=f"{SESSIONS}/{id}/expire" if is_page else f"{INTENTS}/{id}/cancel",
            form={},
            headers=self._headers,
            subject=attempt.reference,
            repeatable=True,
        )
        closed = await self._http.call(request, read)
        return unpaid_evidence(CLOSE) if closed else await self._state(attempt)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        request = self._refund_request(attempt, reversal)
        return await self._charge(
            refunds.REFUND, request, lambda answer: refunds.interpret_refund(reversal, answer)
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Search the payment's refunds; repeat the request of a missing one under its key."""
        call = self._refund_state(attempt, reversal, now)
        return await evidence_of_inquiry(refunds.REFUND, call)

    async def _refund_state(self, attempt: Attempt, reversal: Reversal, now: datetime) -> Evidence:
        request = Request(
            operation="inquire_refund",
            method="GET",
            path=refunds.REFUNDS,
            query=urlencode({"payment_intent": attempt.gateway_id or "", "limit": "100"}),
            headers=self._headers,
            subject=attempt.reference,
            repeatable=True,
        )
        listed = await self._http.call(
            request, lambda answer: refunds.interpret_refund_query(reversal, answer)
        )
        if listed is not None:
            return listed
        if now - (reversal.sent_at or reversal.created_at) >= refunds.KEY_LIFETIME:
            return unpaid_evidence(refunds.REFUND)
        request = self._refund_request(attempt, reversal)
        request = replace(request, operation="inquire_refund", repeatable=True)
        return await self._http.call(
            request, lambda answer: refunds.interpret_refund(reversal, answer)
        )

    def _refund_request(self, attempt: Attempt, reversal: Reversal) -> Request:
        return Request(
            operation="refund",
            method="POST",
            path=refunds.REFUNDS,
            form=refunds.form(attempt, reversal),
            headers=self._headers | {"Idempotency-Key": reversal.id},
            subject=attempt.reference,
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        check_timed_signature(call, "Stripe-Signature", self._secrets)
        return (events.interpret_event(parse_event(Event, parse_json_object(call.body))),)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=_REPLY_STATUSES[verdict], body=orjson.dumps({"received": verdict}))


def _interpret_page(answer: Answer) -> Evidence:
    if not answer.ok:
        return _interpret_refusal(answer)
    session = parse_with_raw_numbers(Session, answer.body)
    if session.status != "open" or session.url is None:
        raise Unreadable("the page is not open, or has no address")
    evidence = session.evidence(CREATE, EvidenceSource.INQUIRY)
    return replace(evidence, result=GatewayResult.ACCEPTED)


def _interpret_charge(answer: Answer) -> Evidence:
    if not answer.ok:
        return _interpret_refusal(answer)
    evidence = parse_with_raw_numbers(Intent, answer.body).evidence(CREATE, EvidenceSource.INQUIRY)
    # The charge waits for the customer or for their bank.
    waits = evidence.result in {GatewayResult.UNPAID, GatewayResult.UNKNOWN}
    return replace(evidence, result=GatewayResult.ACCEPTED) if waits else evidence


def _interpret_refusal(answer: Answer) -> Evidence:
    if not is_definite(answer.status):
        raise unusable(answer)
    if answer.status in _OUR_FAULT:
        return evidence_of_our_fault(GatewayName.STRIPE, CREATE, f"HTTP_{answer.status}")
    error = parse(ErrorResponse, answer.body).error
    if error.type == "idempotency_error":
        raise Unusable("the idempotency key belongs to another request")
    return declined_evidence(CREATE, error.failure)


def _interpret_inquiry(attempt: Attempt, payment: Session | Intent) -> Evidence:
    if payment.reference != attempt.reference:
        return untrusted_evidence(
            GatewayName.STRIPE, INQUIRY, attempt.reference, reason="another reference"
        )
    return payment.evidence(INQUIRY, EvidenceSource.INQUIRY)
