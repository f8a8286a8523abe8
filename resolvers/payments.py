"""
The life of a payment, in the order in which it happens: promise, ask, conclude.

A client's write enters by the idempotency claim in `_promise`; whatever is then said about the money
from outside enters by the other door, resolvers/payment_evidence.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from db import attempts, bills, idempotency, jobs, ledger, limits, payments, sessions
from db.jobs import Job
from db.transaction import transaction
from domain import payment_request
from domain.attempts import Attempt, AttemptStatus
from domain.bills import BillAlreadyPaid
from domain.calendar import business_date
from domain.cards import check_token
from domain.customers import Customer
from domain.gateways import Gateway, Purchase, WalletTokenMissing
from domain.idempotency import check_key, fingerprint
from domain.identifiers import phone_number
from domain.ledger import collected
from domain.limits import kinds_of
from domain.methods import STAFF_MONEY, GatewayName, PaymentMethod
from domain.money import Currency
from domain.payment_request import ProcessPayment
from domain.payments import Payment, PaymentStatus
from domain.refusals import InvalidInput, NotFound, Refusal, Refused, UpstreamUnavailable
from domain.staff import Actor, Operation, check, scope
from integrations import phones
from integrations.keys import VaultError
from resolvers import audit, gateways
from resolvers import limits as limit_operations
from resolvers.audit import command
from resolvers.bills import dated, held
from resolvers.context import Context
from resolvers.idempotency import earlier
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import after_success
from resolvers.payment_start import ClaimedKey, ask

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

OPERATION = "processPayment"
FOLLOW_UP = timedelta(seconds=5)
READING_SECONDS = (
    10.0  # the outer systems' share of a mutation's 25 s; resolvers/payment_start.py has the rest
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """`replayed` says that the key was used before: this is what became of the first request."""

    payment: Payment
    replayed: bool = False


@command(OPERATION)
async def process(context: Context, asked: ProcessPayment) -> Processed:
    """
    Take the money for bills and fees: at once in cash, or by opening a QR or a payment form.

    Raises every refusal of the contract; after a refusal nothing has changed. A gateway that stays
    silent is no refusal: the payment is PROCESSING and `needs_verification`.
    """
    actor = check(context.actor, Operation.COLLECT)
    check_key(asked.idempotency_key)
    asked = asked.folded()
    payment_request.check_items(asked.items)
    check_token(asked.method, asked.card_token)
    asked = replace(asked, customer_phone=_phone(asked.customer_phone))
    print_ = fingerprint(OPERATION, asked.facts)
    claim = ClaimedKey(actor_id=actor.id, operation=OPERATION, key=asked.idempotency_key)
    if (known := await replayed(context, claim, print_)) is not None:
        return known
    try:
        gateway = await gateways.ready(context, asked.method, order=False)
        wallet = (
            await _wallet_token(context, actor) if asked.method is PaymentMethod.FPT_PAY else None
        )
        asked, customer = await _read(context, actor, asked)
    except (Refusal, Refused):
        # The same key may have won meanwhile, and what is in the way be its own payment.
        if (known := await replayed(context, claim, print_)) is None:
            raise
        return known
    try:
        payment = await _promise(context, actor, asked, print_, customer, gateway)
    except bills.TakenMeanwhile:  # held when we tried, free again when we looked who held it
        payment = await _promise(context, actor, asked, print_, customer, gateway)
    if payment is None:  # the same key won the race
        known = await replayed(context, claim, print_)
        assert known is not None
        return known
    if gateway is None:
        await announce(context, payment)
        return Processed(payment=payment)
    purchase = _purchase(context, payment, gateway, wallet, asked.card_token)
    return Processed(payment=await ask(context, claim, payment, gateway, purchase))


async def read(context: Context, payment_id: str) -> Payment:
    """Return a payment that the asker may see. Raises NotFound for any other."""
    actor = check(context.actor, Operation.READ_PAYMENT)
    return visible(await payments.by_id(payment_id), actor, payment_id)


def visible(payment: Payment | None, actor: Actor, payment_id: str) -> Payment:
    """Return *payment*; what is not the actor's reads as not found."""
    if payment is None or not scope(actor).covers(staff_id=payment.staff_id, team=payment.team):
        raise NotFound(what_vi="giao dịch", what_en="payment", id=payment_id)
    return payment


# ── the first door: the idempotency claim ────────────────────────────────────────────────────────


async def replayed(context: Context, claim: ClaimedKey, print_: bytes) -> Processed | None:
    """Return the payment that the claim's key opened before; None for a new key."""
    payment_id = await earlier(context, claim.actor_id, claim.operation, claim.key, print_)
    if payment_id is None:
        return None
    payment = await payments.by_id(payment_id)
    assert payment is not None, "a key is kept in the transaction of its payment"
    return Processed(payment=payment, replayed=True)


async def _read(
    context: Context, actor: Actor, asked: ProcessPayment
) -> tuple[ProcessPayment, Customer]:
    """
    Read the contract and what it owes afresh, and say no where the request does not fit.

    Returns the request under the numbers that the systems answered with, and the customer.

    A cache is for display: money is decided on what the systems say now, or refused.
    """
    try:
        async with asyncio.timeout(READING_SECONDS):
            customer, owed_bills, owed_fees, _ = await asyncio.gather(
                context.customers.customer(asked.contract_number, fresh=True),
                context.revenue.bills(asked.contract_number),
                context.revenue.fees(asked.contract_number),
                _limits(context, actor, asked.method),
            )
    except TimeoutError:
        raise UpstreamUnavailable(system="Revenue Management") from None
    asked = payment_request.as_owed(asked, customer, bills=owed_bills, fees=owed_fees)
    try:
        payment_request.check_owed(asked, customer, bills=owed_bills, fees=owed_fees)
    except BillAlreadyPaid as paid:
        raise await dated(asked, (paid,)) from paid
    except Refused as several:
        raise await dated(asked, several.refusals) from several
    return asked, customer


async def _limits(context: Context, actor: Actor, method: PaymentMethod) -> None:
    """Hear Staff Management where the staff's own money is taken; the promise then decides."""
    if method in STAFF_MONEY:
        await limit_operations.current(context, actor.id, await context.clock())


async def _promise(
    context: Context,
    actor: Actor,
    asked: ProcessPayment,
    print_: bytes,
    customer: Customer,
    gateway: Gateway | None,
) -> Payment | None:
    """
    Write the whole promise in one transaction, before anyone else is asked anything.

    Cash is complete with it. Returns None where the same key was claimed by another request.
    """
    now = await context.clock()
    payment = _new(context, actor, asked, customer, gateway, now)
    attempt = payment.attempt
    cash = gateway is None
    done = payment.become(PaymentStatus.SUCCESS, now) if cash else payment
    async with transaction():
        claimed = await idempotency.claim(
            actor.id,
            OPERATION,
            asked.idempotency_key,
            fingerprint=print_,
            subject_id=payment.id,
            process=context.process,
            now=now,
            answered=cash,
        )
        if not claimed:
            return None
        await payments.add(done)
        if not await bills.lock(payment):
            others = await held(customer.contract_number, payment.items, but=payment.id)
            raise Refused(others) if others else bills.TakenMeanwhile
        await limits.take(
            actor.id,
            kinds_of(payment.method),
            payment.amount,
            today=payment.business_date,
            reserve=not cash,
        )
        await audit.record(context, "create", None, payment, now)
        if attempt is not None:
            await attempts.add(attempt)
            await jobs.enqueue([Job(name="follow_up", subject=payment.id, after=FOLLOW_UP)])
        else:
            await ledger.post("SUCCESS", collected(done, done.money), now, payment_id=done.id)
            await audit.record(context, "confirmCash", payment.status, done, now)
            await jobs.enqueue(after_success(done))
    return done


def _new(
    context: Context,
    actor: Actor,
    asked: ProcessPayment,
    customer: Customer,
    gateway: Gateway | None,
    now: datetime,
) -> Payment:
    payment_id = context.ids.payment()
    amount = sum(item.amount for item in asked.items)
    expires_at = now + context.terms.qr_lifetime
    payment = Payment(
        id=payment_id,
        version=1,
        status=PaymentStatus.PENDING,
        method=asked.method,
        amount=amount,
        currency=Currency.VND,
        contract_number=customer.contract_number,
        customer_name=customer.name,
        items=tuple(sorted(asked.items)),
        staff_id=actor.id,
        staff_name=actor.name,
        team=actor.team,
        business_date=business_date(now),
        receipt_token=context.ids.receipt(),
        notify=payment_request.notify(asked, customer),
        created_at=now,
        updated_at=now,
    )
    if gateway is None:
        return payment
    attempt = Attempt(
        reference=context.ids.reference(),
        payment_id=payment_id,
        gateway=gateway.name,
        status=AttemptStatus.CREATED,
        money=gateways.charged(
            context, gateway, payment.money, now, method=asked.method, order=False
        ),
        created_at=now,
        expires_at=expires_at,
    )
    return replace(payment, expires_at=expires_at, attempt=attempt)


def _purchase(
    context: Context,
    payment: Payment,
    gateway: Gateway,
    wallet: str | None,
    card_token: str | None,
) -> Purchase:
    return Purchase(
        description=f"Thanh toan hop dong {payment.contract_number}",
        customer_name=payment.customer_name,
        customer_phone=payment.notify.phone,
        client_ip=context.client_ip,
        return_url=context.confirmation_link(payment.receipt_token),
        notify_url=gateways.notify_url(context, gateway.name),
        staff_token=wallet,
        card_token=card_token,
    )


def _phone(text: str | None) -> str | None:
    if text is None or not phone_number(text):
        return None
    number = phones.normalise(text)
    if number is None:
        raise InvalidInput(
            field="customerPhone",
            problem_vi="không phải số di động Việt Nam; hãy nhập như 0987654321.",
            problem_en="is not a Vietnamese mobile number; write it like 0987654321.",
        )
    return number


async def _wallet_token(context: Context, actor: Actor) -> str:
    """Return the wallet's token of this login. Raises WalletTokenMissing: log in again."""
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
