"""A gateway calls: verify, keep, apply, answer. The same event twice does once."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from db import webhooks
from db.transaction import transaction
from domain.cases import CaseKind
from domain.evidence import Decision, Finding
from domain.gateways import BadCall, Call, Gateway, Notice, Reply, Verdict, WebhookOutcome
from domain.webhooks import WebhookEvent
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.evidence import UnknownReference, apply

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CALLS = Counter(
    "mobinet_webhooks", "Gateways' calls by what became of them", ["gateway", "outcome"]
)

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
FINISHED = frozenset({WebhookOutcome.HANDLED, WebhookOutcome.DUPLICATE, WebhookOutcome.STALE})
RETRY_AFTER = timedelta(seconds=60)
RETRIES_AT_ONCE = 200
MOST_TRIES = 60  # an hour: a payment is committed before its gateway hears of it
QUARANTINE_A_MINUTE = 60  # for each gateway and process


async def receive(context: Context, gateway: Gateway, call: Call) -> Reply:
    """
    Take a gateway's call and return the answer in its dialect.

    A call that can't be verified goes to quarantine and touches nothing else. A fault of ours keeps
    the event for the worker, and asks the gateway to call again.
    """
    try:
        notice = gateway.read_webhook(call)
    except BadCall as bad:
        if _quarantine_has_room(gateway, call):
            await _keep(context, gateway, call, None)
        _count(gateway, WebhookOutcome.BAD_SIGNATURE)
        log.warning("webhook refused", gateway=gateway.name, reason=bad.reason)
        return gateway.answer(Verdict.BAD_SIGNATURE)
    try:
        event = await _keep(context, gateway, call, notice)
        return gateway.answer(await _handle(context, gateway, event, notice))
    except Exception:
        log.exception("webhook not handled", gateway=gateway.name, reference=notice.reference)
        return gateway.answer(Verdict.OUR_ERROR)


async def retry(context: Context) -> int:
    """Handle again the events that no one finished with, or that came before their payment."""
    before = await context.clock() - RETRY_AFTER
    events = await webhooks.waiting(before, most=RETRIES_AT_ONCE)
    for event in events:
        try:
            gateway = context.gateways[event.gateway]
            await _handle(context, gateway, event, gateway.read_webhook(event.call))
        except Exception:  # it stays, and keeps no other from its turn
            log.exception("webhook not handled", gateway=event.gateway, event_id=event.id)
            await webhooks.tried(event.id)
        if event.tries + 1 >= MOST_TRIES:
            await _bury(context, event)
    return len(events)


async def _bury(context: Context, event: WebhookEvent) -> None:
    """Give an event that nobody can place to people: money may have come that no payment knows."""
    now = await context.clock()
    async with transaction():
        if await webhooks.bury(event.id, now):
            await open_case(context, CaseKind.UNMATCHED, now, gateway=event.gateway)


_quarantined: dict[str, deque[datetime]] = {}


def _quarantine_has_room(gateway: Gateway, call: Call) -> bool:
    """Tell whether one more bad call is kept: a flood of them is counted and answered, no more."""
    kept = _quarantined.setdefault(gateway.name, deque(maxlen=QUARANTINE_A_MINUTE))
    full = len(kept) == QUARANTINE_A_MINUTE
    if full and call.received_at - kept[0] < timedelta(minutes=1):
        return False
    kept.append(call.received_at)
    return True


async def _handle(
    context: Context, gateway: Gateway, event: WebhookEvent, notice: Notice
) -> Verdict:
    if event.outcome in FINISHED:
        _count(gateway, WebhookOutcome.DUPLICATE)
        return Verdict.ALREADY_DONE
    evidence = replace(notice.evidence, event_id=event.id)
    try:
        applied = await apply(context, notice.reference, evidence)
    except UnknownReference:
        await webhooks.conclude(event.id, WebhookOutcome.UNMATCHED, await context.clock())
        _count(gateway, WebhookOutcome.UNMATCHED)
        return Verdict.UNKNOWN_REFERENCE
    outcome = _outcome(applied.decision, notice)
    await webhooks.conclude(event.id, outcome, await context.clock())
    _count(gateway, outcome)
    return _verdict(applied.decision, outcome)


def _outcome(decision: Decision, notice: Notice) -> WebhookOutcome:
    if decision.changed or decision.ask:
        return WebhookOutcome.HANDLED
    paid = notice.evidence.finding is Finding.PAID
    return WebhookOutcome.DUPLICATE if paid else WebhookOutcome.STALE


def _verdict(decision: Decision, outcome: WebhookOutcome) -> Verdict:
    if decision.case in {CaseKind.AMOUNT_MISMATCH, CaseKind.CURRENCY_MISMATCH}:
        return Verdict.WRONG_AMOUNT
    return Verdict.ACCEPTED if outcome is WebhookOutcome.HANDLED else Verdict.ALREADY_DONE


async def _keep(
    context: Context, gateway: Gateway, call: Call, notice: Notice | None
) -> WebhookEvent:
    headers = {
        name.lower(): "…" if name.lower() in SECRET_HEADERS else value
        for name, value in call.headers.items()
    }
    return await webhooks.keep(
        context.ids.record("EVT"),
        gateway.name,
        call,
        identity=notice.event_id if notice else None,
        reference=notice.reference if notice else None,
        outcome=WebhookOutcome.RECEIVED if notice else WebhookOutcome.BAD_SIGNATURE,
        headers=headers,
    )


def _count(gateway: Gateway, outcome: WebhookOutcome) -> None:
    CALLS.labels(gateway.name.lower(), outcome).inc()
