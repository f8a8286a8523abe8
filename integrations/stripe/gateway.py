"""
Stripe, for cards: a Checkout page to pay at, or a token that is charged at once; never a card's number.

Its REST is spoken through our own client and not by its library, which cannot tell a request that
never went out from one that was not answered, knows no breaker, and takes a second to load.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
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
from integrations.http.client import Answer, Unanswered, Unreadable, Unusable, Upstream
from integrations.http.conversation import asked, begun, is_definite, unheard, unknown
from integrations.http.parsing import Wire, parse, parse_as_written, unusable
from integrations.http.webhooks import check_timed_signature, event, json_object
from integrations.stripe import events, refunds
from integrations.stripe.objects import Event, Intent, Listed, Refused, Session

_log = structlog.stdlib.get_logger("integrations.stripe.gateway.gateway")

CREATE, INQUIRY, CLOSE = "stripe:create", "stripe:inquiry", "stripe:close"

VERSION = "2026-06-24.dahlia"  # of their API, by which the shapes below were read
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"
# A page takes payments for half an hour at least, whatever we ask for; the rest is for slow clocks.
_SHORTEST_PAGE = timedelta(minutes=31)
# What was asked for was made within this time of it, by their clock.
_AROUND = timedelta(minutes=2)
_MOST_PAGES = 10
# Our key, or our pace: what is answered so was not begun, and no card is at fault.
_OF_US = frozenset({401, 403, 429})

M = TypeVar("M", Session, Intent)
W = TypeVar("W", bound=Wire)

_STATUSES = {
    Verdict.ACCEPTED: 200,
    Verdict.ALREADY_DONE: 200,
    Verdict.WRONG_AMOUNT: 200,
    Verdict.UNKNOWN_REFERENCE: 404,
    Verdict.BAD_SIGNATURE: 400,
    Verdict.OUR_ERROR: 500,
}


class Stripe:
    """Any of `webhook_secrets` verifies: two during a rotation. Its amounts are minor units, as ours are."""

    name = GatewayName.STRIPE
    paths = ("stripe",)
    methods = frozenset({"POST"})
    revocable = False
    ask_again_after = 3.0

    def __init__(self, http: Upstream, *, api_key: str, webhook_secrets: Sequence[str]) -> None:
        assert webhook_secrets, "Stripe needs a webhook secret"
        self._http = http
        self._headers = {"Authorization": f"Bearer {api_key}", "Stripe-Version": VERSION}
        self._secrets = tuple(webhook_secrets)

    def ready(self) -> bool:
        return self._http.ready("start")

    def retry_after_ms(self) -> int | None:
        return self._http.retry_after_ms("start")

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        if purchase.card_token is None:
            path, form, read = SESSIONS, _page(attempt, purchase), _read_page
        else:
            path, form, read = INTENTS, _charge(attempt, purchase), _read_charge
        return await begun(
            self.name,
            CREATE,
            self._http.call(
                "start",
                "POST",
                path,
                form=form,
                headers=self._headers | {"Idempotency-Key": attempt.reference},
                read=read,
                repeatable=False,
                subject=purchase.description,
            ),
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """
        Ask by the id that we were given or, where the answer with it was lost, by looking through
        what was made at that time. Lists are exact at once; their search is not, and to repeat the
        request we would have to keep the customer's token.
        """
        return await asked(INQUIRY, self._inquire(attempt))

    async def _inquire(self, attempt: Attempt) -> Evidence:
        known = attempt.gateway_id or ""
        if known.startswith("cs_"):
            path, query = f"{SESSIONS}/{known}", "expand[]=payment_intent"
            return _about(attempt, await self._get(attempt, path, query, Session))
        if known:
            return _about(attempt, await self._get(attempt, f"{INTENTS}/{known}", None, Intent))
        expanded = {"expand[]": "data.payment_intent"}
        session = await self._look_for(attempt, SESSIONS, Listed[Session], expanded)
        found = session or await self._look_for(attempt, INTENTS, Listed[Intent], {})
        if found is None:
            return Evidence(
                source=EvidenceSource.INQUIRY, origin=INQUIRY, result=GatewayResult.UNPAID
            )
        return found.evidence(INQUIRY, EvidenceSource.INQUIRY)

    async def _look_for(
        self, attempt: Attempt, path: str, model: type[Listed[M]], query: dict[str, str]
    ) -> M | None:
        sent = attempt.sent_at or attempt.created_at
        query |= {
            "limit": "100",
            "created[gte]": str(int((sent - _AROUND).timestamp())),
            "created[lte]": str(int((sent + _AROUND).timestamp())),
        }
        for _ in range(_MOST_PAGES):
            page = await self._get(attempt, path, urlencode(query), model)
            for item in page.data:
                if item.reference == attempt.reference:
                    return item
            if not page.has_more or not page.data:
                return None
            query["starting_after"] = page.data[-1].id
        _log.warning("stripe_too_much_to_look_through", reference=attempt.reference)
        raise Unanswered("stripe", "inquire", "too much was made at that time")

    async def _get(self, attempt: Attempt, path: str, query: str | None, model: type[W]) -> W:
        def read(answer: Answer) -> W:
            if not answer.ok:
                raise unusable(answer)
            return parse_as_written(model, answer.body)

        return await self._http.call(
            "inquire",
            "GET",
            path,
            query=query,
            headers=self._headers,
            read=read,
            repeatable=True,
            subject=attempt.reference,
        )

    async def close(self, attempt: Attempt, *, now: datetime) -> Evidence:
        return await asked(CLOSE, self._close(attempt))

    async def _close(self, attempt: Attempt) -> Evidence:
        number = attempt.gateway_id
        assert number is not None, "what has no number is not known to be there"
        page = number.startswith("cs_")

        def read(answer: Answer) -> bool:
            if answer.ok:
                told = parse_as_written(Session if page else Intent, answer.body)
                return told.reference == attempt.reference and told.is_closed
            if not is_definite(answer.status) or answer.status in _OF_US:
                raise unusable(answer)
            return False  # it is not open: paid, or ended by itself

        closed = await self._http.call(
            "close",
            "POST",
            f"{SESSIONS}/{number}/expire" if page else f"{INTENTS}/{number}/cancel",
            form={},
            headers=self._headers,
            read=read,
            repeatable=True,
            subject=attempt.reference,
        )
        if closed:
            return Evidence(
                source=EvidenceSource.INQUIRY, origin=CLOSE, result=GatewayResult.UNPAID
            )
        return await self._inquire(attempt)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        return await begun(
            self.name, refunds.REFUND, self._refund("refund", attempt, reversal, again=False)
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Look among the payment's refunds; one that is not there is asked for again, under its key."""
        return await asked(refunds.REFUND, self._inquire_refund(attempt, reversal, now))

    async def _inquire_refund(
        self, attempt: Attempt, reversal: Reversal, now: datetime
    ) -> Evidence:
        def read(answer: Answer) -> Evidence | None:
            return refunds.read_list(reversal, answer)

        found = await self._http.call(
            "inquire_refund",
            "GET",
            refunds.REFUNDS,
            query=urlencode({"payment_intent": attempt.gateway_id or "", "limit": "100"}),
            headers=self._headers,
            read=read,
            repeatable=True,
            subject=attempt.reference,
        )
        if found is not None:
            return found
        if now - (reversal.sent_at or reversal.created_at) < refunds.KEY_LIVES:
            return await self._refund("inquire_refund", attempt, reversal, again=True)
        return Evidence(
            source=EvidenceSource.INQUIRY, origin=refunds.REFUND, result=GatewayResult.UNPAID
        )

    def _refund(
        self, operation: str, attempt: Attempt, reversal: Reversal, *, again: bool
    ) -> Awaitable[Evidence]:
        def read(answer: Answer) -> Evidence:
            return refunds.read(reversal, answer)

        return self._http.call(
            operation,
            "POST",
            refunds.REFUNDS,
            form=refunds.form(attempt, reversal),
            headers=self._headers | {"Idempotency-Key": reversal.id},
            read=read,
            repeatable=again,
            subject=attempt.reference,
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        check_timed_signature(call, "Stripe-Signature", self._secrets)
        return (events.notice(event(Event, json_object(call.body))),)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=_STATUSES[verdict], body=orjson.dumps({"received": verdict}))


def _page(attempt: Attempt, purchase: Purchase) -> dict[str, str]:
    """What a page is asked for with. It charges nothing by itself."""
    ends = max(attempt.expires_at, (attempt.sent_at or attempt.created_at) + _SHORTEST_PAGE)
    item = "line_items[0]"
    return {
        "mode": "payment",
        "client_reference_id": attempt.reference,
        "metadata[reference]": attempt.reference,
        "payment_intent_data[metadata][reference]": attempt.reference,
        "payment_intent_data[metadata][page]": "yes",
        "payment_intent_data[description]": purchase.description,
        f"{item}[quantity]": "1",
        f"{item}[price_data][currency]": attempt.money.currency.lower(),
        f"{item}[price_data][unit_amount]": str(attempt.money.amount),
        f"{item}[price_data][product_data][name]": purchase.description,
        "payment_method_types[0]": "card",
        "success_url": purchase.return_url,
        "cancel_url": purchase.return_url,
        "expires_at": str(int(ends.timestamp())),
        "locale": "vi",
    }


def _charge(attempt: Attempt, purchase: Purchase) -> dict[str, str]:
    """What a token is charged with, at once."""
    token = purchase.card_token
    assert token is not None
    return {
        "amount": str(attempt.money.amount),
        "currency": attempt.money.currency.lower(),
        "confirm": "true",
        "payment_method_types[0]": "card",
        "description": purchase.description,
        "metadata[reference]": attempt.reference,
        "return_url": purchase.return_url,
    } | (
        {"payment_method_data[type]": "card", "payment_method_data[card][token]": token}
        if token.startswith("tok_")
        else {"payment_method": token}
    )


def _read_page(answer: Answer) -> Evidence:
    if not answer.ok:
        return _declined(answer)
    told = parse_as_written(Session, answer.body)
    if told.status != "open" or told.url is None:
        raise Unreadable("no page to pay at")
    return replace(told.evidence(CREATE, EvidenceSource.INQUIRY), result=GatewayResult.ACCEPTED)


def _read_charge(answer: Answer) -> Evidence:
    if not answer.ok:
        return _declined(answer)
    told = parse_as_written(Intent, answer.body).evidence(CREATE, EvidenceSource.INQUIRY)
    waits = told.result in {
        GatewayResult.UNPAID,
        GatewayResult.UNKNOWN,
    }  # for the customer, or for their bank
    return replace(told, result=GatewayResult.ACCEPTED) if waits else told


def _declined(answer: Answer) -> Evidence:
    if not is_definite(answer.status):
        raise unusable(answer)
    if answer.status in _OF_US:
        return unheard(GatewayName.STRIPE, CREATE, f"HTTP_{answer.status}")
    refusal = parse(Refused, answer.body).error
    if refusal.type == "idempotency_error":  # something else lives under our reference
        raise Unusable("the key was used for something else")
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=CREATE,
        result=GatewayResult.DECLINED,
        failure=refusal.failure,
    )


def _about(attempt: Attempt, told: Session | Intent) -> Evidence:
    if told.reference != attempt.reference:
        _log.warning(
            "inquiry_not_believed",
            gateway="STRIPE",
            reference=attempt.reference,
            why="it is about another reference",
        )
        return unknown(INQUIRY)
    return told.evidence(INQUIRY, EvidenceSource.INQUIRY)
