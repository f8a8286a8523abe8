"""A gateway calls: verify, keep, apply, answer. The same event twice does once."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram

from db import attempts, audit, webhooks
from db.audit import AuditEvent
from db.transaction import transaction
from domain.cards import masked
from domain.cases import CaseKind, about_money
from domain.gateways import (
    BadCall,
    Call,
    Gateway,
    Notice,
    Prepares,
    Reply,
    Verdict,
    WebhookOutcome,
)
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import GatewayResult
from domain.refusals import NotFound, NotPermitted
from domain.staff import Operation, check
from domain.webhooks import WebhookEvent
from integrations.http.conversation import is_kept
from resolvers import pages
from resolvers.audit import command
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.payment_evidence import UnknownReference, apply

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CALLS = Counter(
    "mobinet_webhooks",
    "Gateways' calls: how many were verified (received), and what became of all",
    ["gateway", "outcome"],
)
LAG = Histogram(
    "mobinet_webhook_lag_seconds",
    "From the first delivery of an event until it was done with",
    ["gateway"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600),
)

# By their names: a signature is no secret, and is needed to verify the call again.
SECRET_HEADER = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)
FINISHED = frozenset(
    {
        WebhookOutcome.HANDLED,
        WebhookOutcome.DUPLICATE,
        WebhookOutcome.STALE,
        WebhookOutcome.FOREIGN,
    }
)
RETRY_AFTER = timedelta(seconds=60)
RETRIES_AT_ONCE = 200
MOST_AT_ONCE = 100  # on a page
MOST_TRIES = 60  # an hour: a payment is committed before its gateway hears of it
LONGEST_NAME, LONGEST_REFERENCE = 200, 128  # as the columns have them
QUARANTINE_A_MINUTE = 60  # for each gateway and process

# Of several events in one call the first of these is the answer to all: whoever calls again repeats the whole.
GRAVEST_FIRST = (
    Verdict.OUR_ERROR,
    Verdict.UNKNOWN_REFERENCE,
    Verdict.WRONG_AMOUNT,
    Verdict.ACCEPTED,
    Verdict.ALREADY_DONE,
)


async def receive(context: Context, gateway: Gateway, call: Call) -> Reply:
    """
    Take a gateway's call and return the answer in its dialect.

    A call that can't be verified goes to quarantine and touches nothing else. Each event that a
    verified one tells of is kept and handled by itself; a fault of ours leaves it to the worker,
    and asks the gateway to call again.
    """
    try:
        notices = await _read(context, gateway, call)
    except BadCall as bad:
        if _quarantine_has_room(gateway, call):
            await _keep(context, gateway, call, None)
        _count(gateway, WebhookOutcome.BAD_SIGNATURE)
        log.warning("webhook refused", gateway=gateway.name, reason=bad.reason)
        return gateway.answer(Verdict.BAD_SIGNATURE)
    except (
        Exception
    ):  # what verifying it takes is not to be had: it is neither believed nor refused
        log.exception("webhook not read", gateway=gateway.name)
        return gateway.answer(Verdict.OUR_ERROR)
    for _ in notices:
        _count(gateway, WebhookOutcome.RECEIVED)
    verdicts = [await _take(context, gateway, call, notice) for notice in notices]
    return gateway.answer(min(verdicts, key=GRAVEST_FIRST.index, default=Verdict.ACCEPTED))


async def retry(context: Context) -> int:
    """Handle again the events that no one finished with, or that came before their payment."""
    before = await context.clock() - RETRY_AFTER
    events = await webhooks.waiting(before, most=RETRIES_AT_ONCE)
    for event in events:
        notice = None
        try:
            gateway = context.gateways[event.gateway]
            notice = await _read_again(context, gateway, event)
            await _handle(context, gateway, event, notice)
        except Exception:  # it stays, and keeps no other from its turn
            log.exception("webhook not handled", gateway=event.gateway, event_id=event.id)
            await webhooks.tried(event.id)
        if event.tries + 1 >= MOST_TRIES:
            await _bury(context, event, notice)
    return len(events)


async def page(
    context: Context,
    outcome: WebhookOutcome,
    gateway: GatewayName | None,
    *,
    first: int,
    after: str | None,
) -> pages.Page[WebhookEvent]:
    """Return up to *first* calls that this became of, newest first, behind the cursor *after*. Raises InvalidInput."""
    check(context.actor, Operation.READ_WEBHOOKS)
    pages.check_first(first, most=MOST_AT_ONCE)
    key = None if after is None else pages.read(after, pages.by_time)
    found = await webhooks.page(outcome, gateway, after=key, most=first + 1)
    return pages.cut(found, first, webhooks.key)


@command("replayWebhook")
async def replay(context: Context, event_id: str) -> WebhookEvent:
    """
    Handle a kept call again: a dead one, or one from quarantine whose secret has been mended since.

    What was finished with stays as it is. Raises NotFound, and NotPermitted where the call still does
    not verify, or never will because a card number was masked in it.
    """
    check(context.actor, Operation.REPLAY_WEBHOOK)
    event = await webhooks.by_id(event_id)
    if event is None or event.gateway not in context.gateways:
        raise NotFound(what_vi="cuộc gọi", what_en="call", id=event_id)
    if event.outcome in FINISHED:
        return event
    if event.masked:
        raise NotPermitted(
            why_vi="cuộc gọi này có chứa số thẻ nên đã được che, không thể kiểm tra lại được nữa. Hãy yêu cầu cổng gửi lại.",
            why_en="the call held a card number, was masked and cannot be verified again. Have the gateway send it again.",
        )
    gateway = context.gateways[event.gateway]
    try:
        notices = await _read(context, gateway, event.call)
    except BadCall as bad:
        raise NotPermitted(
            why_vi="chữ ký của cuộc gọi này vẫn không đúng, nên nó không được tính. Hãy kiểm tra khoá của cổng.",
            why_en="the call's signature still does not verify, so it counts for nothing. Check the gateway's secret.",
        ) from bad
    now = await context.clock()
    await audit.record(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action="replayWebhook",
            event_id=event.id,
            request_id=context.request_id,
        )
    )
    for notice in notices:
        if event.event_id in {None, notice.identity}:
            known = event if event.event_id else await _keep(context, gateway, event.call, notice)
            await _handle(context, gateway, known, notice)
            event_id = known.id
    after = await webhooks.by_id(event_id)
    assert after is not None
    return after


async def _read(context: Context, gateway: Gateway, call: Call) -> tuple[Notice, ...]:
    """Return what a call tells of, verified with what must be fetched for it. Raises BadCall."""
    if isinstance(gateway, Prepares):
        await gateway.prepare(call)
    shared = gateway.name in context.terms.shared
    notices = tuple(_cut(notice, shared=shared) for notice in gateway.read_webhook(call))
    for notice in notices:
        short = (
            len(notice.identity) <= LONGEST_NAME
            and len(notice.reference or "") <= LONGEST_REFERENCE
        )
        if not short or (notice.evidence and not is_kept(notice.evidence)):
            raise BadCall("a name in it is longer than any of theirs")
    return notices


def _cut(notice: Notice, *, shared: bool) -> Notice:
    """Return the notice with a reference that fits its column: one that is longer is not ours."""
    if notice.reference is None or not shared:
        return notice
    return replace(notice, reference=notice.reference[:LONGEST_REFERENCE])


async def _read_again(context: Context, gateway: Gateway, event: WebhookEvent) -> Notice:
    """Return what a kept call told of this one event."""
    notices = {notice.identity: notice for notice in await _read(context, gateway, event.call)}
    assert event.event_id is not None, "only verified events wait"
    return notices[event.event_id]


async def _bury(context: Context, event: WebhookEvent, notice: Notice | None) -> None:
    """Give an event that nobody can place to people: money may have come that no payment knows."""
    now = await context.clock()
    said = notice.evidence if notice else None
    money = said.money if said else None
    named = about_money(said.gateway_id, said.unreadable) if said else None
    async with transaction():
        if await webhooks.bury(event.id, now):
            await open_case(
                context,
                CaseKind.UNMATCHED,
                now,
                gateway=event.gateway,
                amount=money.amount if money and money.currency is Currency.VND else None,
                about=" · ".join(name for name in (event.reference, named, event.id) if name),
            )


_quarantined: dict[str, deque[datetime]] = {}


def _quarantine_has_room(gateway: Gateway, call: Call) -> bool:
    """Tell whether one more bad call is kept: a flood of them is counted and answered, no more."""
    kept = _quarantined.setdefault(gateway.name, deque(maxlen=QUARANTINE_A_MINUTE))
    full = len(kept) == QUARANTINE_A_MINUTE
    if full and call.received_at - kept[0] < timedelta(minutes=1):
        return False
    kept.append(call.received_at)
    return True


async def _take(context: Context, gateway: Gateway, call: Call, notice: Notice) -> Verdict:
    try:
        event = await _keep(context, gateway, call, notice)
        return await _handle(context, gateway, event, notice)
    except Exception:
        log.exception("webhook not handled", gateway=gateway.name, reference=notice.reference)
        return Verdict.OUR_ERROR


async def _handle(
    context: Context, gateway: Gateway, event: WebhookEvent, notice: Notice
) -> Verdict:
    if event.outcome in FINISHED:
        _count(gateway, WebhookOutcome.DUPLICATE)
        return Verdict.ALREADY_DONE
    outcome, verdict = await _outcome(context, event, notice)
    now = await context.clock()
    await webhooks.conclude(event.id, outcome, now)
    if outcome is not event.outcome:  # one that still waits has been counted
        _count(gateway, outcome)
    if outcome in FINISHED:
        LAG.labels(gateway.name.lower()).observe((now - event.received_at).total_seconds())
    return verdict


async def _outcome(
    context: Context, event: WebhookEvent, notice: Notice
) -> tuple[WebhookOutcome, Verdict]:
    """Apply what an event says, and return what became of it, for us and for who told it."""
    if await _is_foreign(context, event.gateway, notice):
        return WebhookOutcome.FOREIGN, Verdict.ACCEPTED
    said = notice.evidence
    if said is None:
        return WebhookOutcome.STALE, Verdict.ACCEPTED
    if notice.reference is None:
        return WebhookOutcome.UNMATCHED, Verdict.UNKNOWN_REFERENCE
    try:
        said = replace(said, event_id=event.id)
        applied = await apply(context, notice.reference, said, told_by=event.gateway)
    except UnknownReference:
        return WebhookOutcome.UNMATCHED, Verdict.UNKNOWN_REFERENCE
    decision = applied.decision
    if decision.case in {CaseKind.AMOUNT_MISMATCH, CaseKind.CURRENCY_MISMATCH}:
        return WebhookOutcome.HANDLED, Verdict.WRONG_AMOUNT
    if decision.changed or decision.ask:
        return WebhookOutcome.HANDLED, Verdict.ACCEPTED
    repeated = said.result is GatewayResult.PAID
    over = repeated or applied.payment.is_final
    return (
        WebhookOutcome.DUPLICATE if repeated else WebhookOutcome.STALE,
        Verdict.ALREADY_DONE if over else Verdict.ACCEPTED,
    )


async def _is_foreign(context: Context, gateway: GatewayName, notice: Notice) -> bool:
    """Return whether a notice is about another program's use of a shared account."""
    reference = notice.named if notice.reference is None else notice.reference
    if reference is None or not context.terms.is_foreign(gateway, reference):
        return False
    return await attempts.payment_of(reference, gateway) is None


async def _keep(
    context: Context, gateway: Gateway, call: Call, notice: Notice | None
) -> WebhookEvent:
    headers = {name: masked(value) for name, value in call.headers.items()}
    clean = replace(call, headers=headers)
    if notice is None:  # a verified call keeps its text, so that it verifies again
        body = masked(call.body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        clean = replace(clean, query=masked(call.query), body=body)
    without_secrets = {
        name.lower(): "…" if SECRET_HEADER.search(name) else value
        for name, value in headers.items()
    }
    return await webhooks.keep(
        WebhookEvent(
            id=context.ids.record("EVT"),
            gateway=gateway.name,
            event_id=notice.identity if notice else None,
            reference=notice.reference if notice else None,
            outcome=WebhookOutcome.RECEIVED if notice else WebhookOutcome.BAD_SIGNATURE,
            received_at=call.received_at,
            deliveries=1,
            tries=0,
            call=replace(clean, headers=without_secrets),
            masked=notice is None and clean != call,
        )
    )


def _count(gateway: Gateway, outcome: WebhookOutcome) -> None:
    CALLS.labels(gateway.name.lower(), outcome).inc()
