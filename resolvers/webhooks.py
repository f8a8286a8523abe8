"""A gateway's webhook: verify, store, apply, answer. The same event twice has one effect."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram

from db import attempts, audit, webhooks
from db.audit import AuditEvent
from db.transaction import transaction
from domain.cases import CaseKind, about_money
from domain.gateways import BadCall, Call, Gateway, Notice, PreparingGateway, Reply, WebhookOutcome
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Decision, Evidence, GatewayResult
from domain.refusals import NotFound, NotPermitted
from domain.sentences import Noun, PermissionReason
from domain.staff import Operation, check
from domain.verdicts import Verdict
from domain.webhooks import WebhookEvent
from integrations.http.conversation import is_storable
from resolvers import pages
from resolvers.audit import audited
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.payment_evidence import UnknownReference, apply
from resolvers.webhook_storage import store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CALLS = Counter(
    "mobinet_webhooks",
    "Gateways' calls: how many were verified (received), and the outcome of all",
    ["gateway", "outcome"],
)
LAG = Histogram(
    "mobinet_webhook_lag_seconds",
    "From the first delivery of an event until it was finished",
    ["gateway"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600),
)

FINISHED = frozenset(
    {
        WebhookOutcome.HANDLED,
        WebhookOutcome.DUPLICATE,
        WebhookOutcome.STALE,
        WebhookOutcome.FOREIGN,
    }
)
RETRY_AFTER = timedelta(seconds=60)
RETRY_BATCH = 200
MAX_TRIES = 60  # one a minute; a payment is committed before its gateway is called
MAX_NAME_LENGTH, MAX_REFERENCE_LENGTH = 200, 128  # as the columns have them
MAX_QUARANTINED_PER_MINUTE = 60  # for each gateway and process

# A call with several events is answered with the first of these: a repeat brings all of them again.
GRAVEST_FIRST = (
    Verdict.OUR_ERROR,
    Verdict.UNKNOWN_REFERENCE,
    Verdict.WRONG_AMOUNT,
    Verdict.ACCEPTED,
    Verdict.ALREADY_DONE,
)


async def receive(context: Context, gateway: Gateway, call: Call) -> Reply:
    """
    Handle a gateway's call and return the answer in its dialect.

    A call that does not verify goes to quarantine and changes nothing else. Each event of a
    verified call is stored and handled by itself; after a fault of ours the worker handles it
    again, and the answer asks the gateway to repeat the call.
    """
    try:
        notices = await _read(context, gateway, call)
    except BadCall as error:
        if _quarantine_has_room(gateway, call):
            await store(context, gateway, call, None)
        _count(gateway, WebhookOutcome.BAD_SIGNATURE)
        log.warning("webhook_refused", gateway=gateway.name, reason=error.reason)
        return gateway.answer(Verdict.BAD_SIGNATURE)
    except Exception:  # what verifying needs could not be fetched: neither accepted nor refused
        log.exception("webhook_not_verified", gateway=gateway.name)
        return gateway.answer(Verdict.OUR_ERROR)
    for _ in notices:
        _count(gateway, WebhookOutcome.RECEIVED)
    verdicts = [await _store_and_handle(context, gateway, call, notice) for notice in notices]
    return gateway.answer(min(verdicts, key=GRAVEST_FIRST.index, default=Verdict.ACCEPTED))


async def retry(context: Context) -> int:
    """Handle again the events that are not finished, or that came before their payment."""
    before = await context.clock() - RETRY_AFTER
    events = await webhooks.unfinished(before, most=RETRY_BATCH)
    for event in events:
        notice = None
        try:
            gateway = context.gateways[event.gateway]
            notice = await _read_again(context, gateway, event)
            await _handle(context, gateway, event, notice)
        except Exception:  # the event stays stored, and the next one has its turn
            log.exception("webhook_not_handled", gateway=event.gateway, event_id=event.id)
            await webhooks.count_try(event.id)
        if event.tries + 1 >= MAX_TRIES:
            await _mark_dead(context, event, notice)
    return len(events)


async def page(
    context: Context,
    outcome: WebhookOutcome,
    gateway: GatewayName | None,
    request: pages.PageRequest,
) -> pages.Page[WebhookEvent]:
    """Return a page of the events with this outcome, newest first. Raises InvalidInput."""
    check(context.actor, Operation.READ_WEBHOOKS)
    page = pages.page_range(request, pages.by_time)
    found = await webhooks.page(outcome, gateway, page)
    return pages.cut(found, page, webhooks.key)


@audited("replayWebhook")
async def replay(context: Context, event_id: str) -> WebhookEvent:
    """
    Handle a stored call again: a dead letter, or one from quarantine whose secret was corrected.

    A finished event stays as it is. Raises NotFound, and NotPermitted where the call still does
    not verify, or never will because a card number in what is signed was masked.
    """
    check(context.actor, Operation.REPLAY_WEBHOOK)
    event = await webhooks.by_id(event_id)
    if event is None or event.gateway not in context.gateways:
        raise NotFound.of(Noun.CALL, id=event_id)
    if event.outcome in FINISHED:
        return event
    gateway = context.gateways[event.gateway]
    notices = await _verified_again(context, gateway, event)
    await _audit_replay(context, event)
    for notice in notices:
        if event.event_id is None:
            stored = await store(context, gateway, event.call, notice)
        elif event.event_id == notice.identity:
            stored = event
        else:
            continue
        await _handle(context, gateway, stored, notice)
        event_id = stored.id
    return await webhooks.get(event_id)


async def _verified_again(
    context: Context, gateway: Gateway, event: WebhookEvent
) -> tuple[Notice, ...]:
    """Return the events of a stored call. Raises NotPermitted where it does not verify."""
    try:
        return await _read(context, gateway, event.call)
    except BadCall as error:
        masked, unverified = PermissionReason.CALL_MASKED, PermissionReason.CALL_UNVERIFIED
        raise NotPermitted.because(masked if event.masked else unverified) from error


async def _audit_replay(context: Context, event: WebhookEvent) -> None:
    await audit.append(
        AuditEvent(
            at=await context.clock(),
            actor=context.actor_id,
            action="replayWebhook",
            event_id=event.id,
            request_id=context.request_id,
        )
    )


# ── reading a call ───────────────────────────────────────────────────────────────────────────────


async def _read(context: Context, gateway: Gateway, call: Call) -> tuple[Notice, ...]:
    """Return the events of a call, after fetching what verifying it needs. Raises BadCall."""
    if isinstance(gateway, PreparingGateway):
        await gateway.prepare(call)
    return tuple([await _check(context, gateway, each) for each in gateway.read_webhook(call)])


async def _check(context: Context, gateway: Gateway, notice: Notice) -> Notice:
    """
    Return a notice that can be stored and handled.

    One that cannot be read, or has a name longer than its column, is only another program's.
    Raises BadCall.
    """
    problem = notice.problem or _too_long(notice)
    if problem is None:
        return notice
    if len(notice.identity) > MAX_NAME_LENGTH:
        raise BadCall(problem)
    if not await _is_foreign(context, gateway.name, notice):
        raise BadCall(problem)
    reference = notice.reference and notice.reference[:MAX_REFERENCE_LENGTH]
    return replace(notice, reference=reference, evidence=None)


def _too_long(notice: Notice) -> str | None:
    """Return the problem of a notice with a name that does not fit its column, or None."""
    fits = (
        len(notice.identity) <= MAX_NAME_LENGTH
        and len(notice.reference or "") <= MAX_REFERENCE_LENGTH
        and (notice.evidence is None or is_storable(notice.evidence))
    )
    return None if fits else "a name in it is longer than the gateway's names are"


async def _read_again(context: Context, gateway: Gateway, event: WebhookEvent) -> Notice:
    """Return what a stored call says of this one event."""
    notices = {notice.identity: notice for notice in await _read(context, gateway, event.call)}
    assert event.event_id is not None, "only a verified event is retried"
    return notices[event.event_id]


# ── the quarantine ───────────────────────────────────────────────────────────────────────────────


_quarantined: dict[str, deque[datetime]] = {}


def _quarantine_has_room(gateway: Gateway, call: Call) -> bool:
    """Return whether one more bad call is stored; a flood of them is only counted and answered."""
    stored = _quarantined.setdefault(gateway.name, deque(maxlen=MAX_QUARANTINED_PER_MINUTE))
    is_full = len(stored) == MAX_QUARANTINED_PER_MINUTE
    if is_full and call.received_at - stored[0] < timedelta(minutes=1):
        return False
    stored.append(call.received_at)
    return True


# ── handling an event ────────────────────────────────────────────────────────────────────────────


async def _store_and_handle(
    context: Context, gateway: Gateway, call: Call, notice: Notice
) -> Verdict:
    try:
        event = await store(context, gateway, call, notice)
        return await _handle(context, gateway, event, notice)
    except Exception:  # a stored event stays RECEIVED, and the worker handles it again
        log.exception("webhook_not_handled", gateway=gateway.name, reference=notice.reference)
        return Verdict.OUR_ERROR


async def _handle(
    context: Context, gateway: Gateway, event: WebhookEvent, notice: Notice
) -> Verdict:
    """Apply an event unless it is finished, and store its outcome."""
    if event.outcome in FINISHED:
        _count(gateway, WebhookOutcome.DUPLICATE)
        return Verdict.ALREADY_DONE
    outcome, verdict = await _apply(context, event, notice)
    now = await context.clock()
    is_concluded = await webhooks.conclude(event.id, outcome, now)
    if is_concluded and outcome is not event.outcome:  # one that still waits was counted before
        _count(gateway, outcome)
    if outcome in FINISHED:
        LAG.labels(gateway.name.lower()).observe((now - event.received_at).total_seconds())
    return verdict


async def _apply(
    context: Context, event: WebhookEvent, notice: Notice
) -> tuple[WebhookOutcome, Verdict]:
    """Apply the event's evidence; return its outcome and the verdict for its gateway."""
    if await _is_foreign(context, event.gateway, notice):
        return WebhookOutcome.FOREIGN, Verdict.ACCEPTED
    if notice.evidence is None:
        return WebhookOutcome.STALE, Verdict.ACCEPTED
    if notice.reference is None:
        return WebhookOutcome.UNMATCHED, Verdict.UNKNOWN_REFERENCE
    evidence = replace(notice.evidence, event_id=event.id)
    try:
        applied = await apply(context, notice.reference, evidence, gateway=event.gateway)
    except UnknownReference:
        return WebhookOutcome.UNMATCHED, Verdict.UNKNOWN_REFERENCE
    return _outcome(applied.decision, evidence), applied.decision.verdict


def _outcome(decision: Decision, evidence: Evidence) -> WebhookOutcome:
    if decision.changed or decision.inquire:
        return WebhookOutcome.HANDLED
    is_repeated = evidence.result is GatewayResult.PAID
    return WebhookOutcome.DUPLICATE if is_repeated else WebhookOutcome.STALE


async def _is_foreign(context: Context, gateway: GatewayName, notice: Notice) -> bool:
    """Return whether a notice is about another program's use of a shared account."""
    reference = notice.named if notice.reference is None else notice.reference
    if reference is None:
        return False
    for each in (reference, *notice.also_named):
        if not context.terms.is_foreign(gateway, each):
            return False
        if await attempts.payment_of(each, gateway) is not None:
            return False
    return True


async def _mark_dead(context: Context, event: WebhookEvent, notice: Notice | None) -> None:
    """Make an event a dead letter and a case: money may have arrived for no payment of ours."""
    now = await context.clock()
    evidence = notice.evidence if notice else None
    money = evidence.money if evidence else None
    named = about_money(evidence.gateway_id, evidence.unreadable) if evidence else None
    new_case = NewCase(
        kind=CaseKind.UNMATCHED,
        gateway=event.gateway,
        amount=money.amount if money and money.currency is Currency.VND else None,
        about=" · ".join(name for name in (event.reference, named, event.id) if name),
    )
    async with transaction():
        if await webhooks.mark_dead(event.id, now):
            await open_case(context, new_case, now)


def _count(gateway: Gateway, outcome: WebhookOutcome) -> None:
    CALLS.labels(gateway.name.lower(), outcome).inc()
