"""
Collecting bills and fees: read what is owed, open the payment, start it at its gateway.

A client's write enters through the idempotency claim in `_open`; evidence about the money enters
through resolvers/payment_evidence.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from db import bills, ledger, limits, payments, sessions
from db.transaction import transaction
from domain import payment_request
from domain.bills import BillAlreadyPaid, Fee, ItemType
from domain.cards import check_token
from domain.customers import Customer
from domain.gateways import Gateway, Purchase, WalletTokenMissing
from domain.idempotency import check_key
from domain.identifiers import phone_number
from domain.ledger import collected
from domain.limits import kinds_of
from domain.methods import STAFF_MONEY, GatewayName, PaymentMethod
from domain.payment_request import ProcessPayment
from domain.payments import Payment, PaymentStatus
from domain.refusals import InvalidInput, NotFound, Refused, UpstreamUnavailable
from domain.sentences import InputProblem, Noun
from domain.staff import Actor, Operation, check, scope
from integrations import phones
from integrations.keys import VaultError
from resolvers import gateways
from resolvers import limits as limit_operations
from resolvers.audit import audited
from resolvers.bills import refusals_of_held, with_payment_times
from resolvers.context import Context
from resolvers.idempotency import CommandKey, claim, command_key, run_once
from resolvers.lost_races import retry_when_taken
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import jobs_after_success
from resolvers.payment_opening import add_attempt, creation, new_payment, with_attempt
from resolvers.payment_start import Processed, Start, replay_payment, start_at_gateway
from resolvers.payment_transitions import Transition, record_transitions

OPERATION = "processPayment"
# The outer systems' share of a mutation's 25 s; resolvers/payment_start.py has the rest.
READING_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A committed payment; `start` is None for cash, which is complete."""

    payment: Payment
    start: Start | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A request under the numbers of the systems' answers, which it fits."""

    actor: Actor
    request: ProcessPayment
    customer: Customer


@audited(OPERATION)
async def process(context: Context, request: ProcessPayment) -> Processed:
    """
    Take the money for bills and fees: at once in cash, or by a QR or a payment form.

    Raises every refusal of the contract; after a refusal nothing has changed. A gateway that does
    not answer is no refusal: the payment is PROCESSING and `needs_verification`.
    """
    actor = check(context.actor, Operation.COLLECT)
    request = _checked(request)
    key = command_key(actor, OPERATION, request.idempotency_key, request.facts)

    async def open_new() -> _Opened:
        return await _read_and_open(context, actor, request, key)

    async def finish(opened: _Opened) -> Processed:
        if opened.start is not None:
            return await start_at_gateway(context, key, opened.start)
        await announce(context, opened.payment)
        return Processed(payment=opened.payment)

    async def replay(payment_id: str) -> Processed:
        return await replay_payment(context, payment_id)

    return await run_once(context, key, open_new=open_new, finish=finish, replay=replay)


async def read(context: Context, payment_id: str) -> Payment:
    """Return a payment that the actor may see. Raises NotFound for any other."""
    actor = check(context.actor, Operation.READ_PAYMENT)
    return visible(await context.payments_by_id.get(payment_id), actor, payment_id)


def visible(payment: Payment | None, actor: Actor, payment_id: str) -> Payment:
    """Return *payment*. Raises NotFound where it is missing or not the actor's to see."""
    if payment is None or not scope(actor).covers(staff_id=payment.staff_id, team=payment.team):
        raise NotFound.of(Noun.PAYMENT, id=payment_id)
    return payment


# ── before the transaction ───────────────────────────────────────────────────────────────────────


def _checked(request: ProcessPayment) -> ProcessPayment:
    """Return the request with its numbers in one spelling. Raises InvalidInput."""
    check_key(request.idempotency_key)
    request = request.folded()
    payment_request.check_items(request.items)
    check_token(request.method, request.card_token)
    return replace(request, customer_phone=_phone(request.customer_phone))


def _phone(text: str | None) -> str | None:
    """Return the domestic form of what was typed, None for an empty text. Raises InvalidInput."""
    if text is None or not phone_number(text):
        return None
    number = phones.normalise(text)
    if number is None:
        raise InvalidInput.because(InputProblem.MOBILE_NUMBER, field="customerPhone")
    return number


async def _read_and_open(
    context: Context, actor: Actor, request: ProcessPayment, key: CommandKey
) -> _Opened:
    """Read everything that the payment depends on, then open it in one transaction."""
    gateway = await gateways.ready_gateway(context, request.method, order=False)
    wallet_token = (
        await _wallet_token(context, actor) if request.method is PaymentMethod.FPT_PAY else None
    )
    checked = await _read_owed(context, actor, request)

    async def open_payment() -> Payment:
        return await _open(context, key, checked, gateway)

    payment = await retry_when_taken(open_payment)
    if gateway is None:
        return _Opened(payment=payment, start=None)
    purchase = _purchase(context, payment, gateway, wallet_token, request.card_token)
    start = Start(payment=payment, gateway=gateway, purchase=purchase)
    return _Opened(payment=payment, start=start)


async def _read_owed(context: Context, actor: Actor, request: ProcessPayment) -> _Checked:
    """
    Read the contract and what it owes afresh; caches are for display, never for taking money.

    Raises a refusal where the request does not fit, UpstreamUnavailable where a system does not
    answer.
    """
    try:
        async with asyncio.timeout(READING_SECONDS):
            customer, owed_bills, owed_fees, _ = await asyncio.gather(
                context.customers.customer(request.contract_number),
                context.revenue.bills(request.contract_number),
                _fees(context, request),
                _refresh_limits(context, actor, request.method),
            )
    except TimeoutError:
        raise UpstreamUnavailable(system="Revenue Management") from None
    context.display_cache.drop(customer.contract_number)  # it may show what no longer holds
    request = payment_request.as_owed(request, customer, bills=owed_bills, fees=owed_fees)
    try:
        payment_request.check_owed(request, customer, bills=owed_bills, fees=owed_fees)
    except BillAlreadyPaid as refusal:
        raise await with_payment_times(request, (refusal,)) from refusal
    except Refused as refused:
        raise await with_payment_times(request, refused.refusals) from refused
    return _Checked(actor=actor, request=request, customer=customer)


async def _fees(context: Context, request: ProcessPayment) -> Sequence[Fee]:
    """Return the contract's fees where the request pays one; a bill needs none of them."""
    if all(item.type is ItemType.BILL for item in request.items):
        return ()
    return await context.revenue.fees(request.contract_number)


async def _refresh_limits(context: Context, actor: Actor, method: PaymentMethod) -> None:
    """Read Staff Management's limits where staff money is taken; the transaction decides."""
    if method in STAFF_MONEY:
        await limit_operations.refresh(context, actor.id)


async def _wallet_token(context: Context, actor: Actor) -> str:
    """Return the wallet token of this login. Raises WalletTokenMissing: log in again."""
    missing = WalletTokenMissing(
        gateway=GatewayName.FPT_PAY,
        alternatives=context.gateways.alternatives(PaymentMethod.FPT_PAY),
    )
    sealed = await sessions.wallet_token(actor.session) if actor.session else None
    if sealed is None or actor.session is None:
        raise missing
    try:
        return context.keys.vault.open(sealed, owner=actor.session)
    except VaultError:
        raise missing from None


# ── the transaction ──────────────────────────────────────────────────────────────────────────────


async def _open(
    context: Context, key: CommandKey, checked: _Checked, gateway: Gateway | None
) -> Payment:
    """
    Open the payment in one transaction, before any gateway is called; cash is complete with it.

    Raises KeyTaken, LimitExceeded, TakenMeanwhile, Refused where its bills are held or paid, and
    Unauthenticated where the session has ended.
    """
    is_cash = gateway is None
    payment_id = context.ids.payment()
    async with transaction():
        now = await claim(context, key, payment_id, answered=is_cash)
        payment = _new(context, payment_id, checked, gateway, now)
        opened = payment.become(PaymentStatus.SUCCESS, now) if is_cash else payment
        if not await payments.add(opened):
            raise await _why_not_free(payment)
        await limits.take(
            payment.staff_id,
            kinds_of(payment.method),
            payment.amount,
            today=payment.business_date,
            reserve=not is_cash,
        )
        if is_cash:
            await _collect_cash(context, payment, opened, now)
        else:
            await add_attempt(context, payment, now)
    return opened


async def _why_not_free(payment: Payment) -> Exception:
    """Return Refused for items that are held or paid, TakenMeanwhile where they are free again."""
    assert payment.contract_number is not None, "a payment of bills has a contract"
    refusals = await refusals_of_held(payment.contract_number, payment.items, but=payment.id)
    return Refused(refusals) if refusals else bills.TakenMeanwhile()


async def _collect_cash(
    context: Context, pending: Payment, success: Payment, now: datetime
) -> None:
    """Post the cash, record both steps and enqueue what follows; in the caller's transaction."""
    await ledger.post_and_audit(
        "SUCCESS", collected(success, success.money), now, payment_id=success.id
    )
    confirmed = Transition(action="confirmCash", before=pending.status, after=success, at=now)
    await record_transitions(
        context, creation(pending, now), confirmed, new_jobs=jobs_after_success(success)
    )


def _new(
    context: Context,
    payment_id: str,
    checked: _Checked,
    gateway: Gateway | None,
    now: datetime,
) -> Payment:
    """Return the payment of the request, with an attempt where it goes through *gateway*."""
    actor, request, customer = checked.actor, checked.request, checked.customer
    amount = sum(item.amount for item in request.items)
    payment = replace(
        new_payment(context, payment_id, actor, request.method, amount, now),
        contract_number=customer.contract_number,
        customer_name=customer.name,
        items=tuple(sorted(request.items)),
        team=actor.team,
        notify=payment_request.notify(request, customer),
    )
    if gateway is None:
        return payment
    charge = gateways.gateway_charge(
        context, gateway, payment.money, now, method=payment.method, order=False
    )
    return with_attempt(context, payment, gateway.name, charge, now)


def _purchase(
    context: Context,
    payment: Payment,
    gateway: Gateway,
    wallet_token: str | None,
    card_token: str | None,
) -> Purchase:
    return Purchase(
        description=f"Thanh toan hop dong {payment.contract_number}",
        customer_name=payment.customer_name,
        customer_phone=payment.notify.phone,
        client_ip=context.client_ip,
        return_url=context.confirmation_link(payment.receipt_token),
        notify_url=gateways.notify_url(context, gateway.name),
        staff_token=wallet_token,
        card_token=card_token,
    )
