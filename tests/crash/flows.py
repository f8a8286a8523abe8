"""
The flows whose every step is a place to die: how each is prepared, and the one act that is killed.

What is prepared is committed, and known by a `Subject`: any process can act on it, again and again,
as a client that repeats itself, a gateway that calls again, and a worker that starts over do.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx

from domain.collection import NotifyWish, ProcessPayment
from domain.gateways import Call
from domain.hand_ins import HandIn, SubmitHandIn
from domain.methods import PaymentMethod
from domain.payments import Payment
from domain.refusals import Refusal, Refused
from resolvers import hand_ins, inquiries, jobs, payments, reversals, sessions, webhooks
from resolvers.context import Context
from tests.crash import night
from tests.domain.builders import bill_item

SANDBOX = "CRASH_SANDBOX"  # the variable that says where it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One contract of its own, its collector, and the payment that was prepared for it, if any."""

    flow: str
    contract: str
    staff: str
    key: str
    bill: str = ""
    amount: int = 0
    token: str = ""
    payment: str = ""
    reference: str = ""
    hand_in: str = ""
    reversal: str = ""
    heard: Heard | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a gateway called about it, as it came; `body` as text."""

    path: str
    method: str
    query: str
    headers: dict[str, str]
    body: str


# The context is of whoever `token` names.
Prepare = Callable[[Context, Subject], Awaitable[Subject]]
Act = Callable[[Context, Subject], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    name: str
    prepare: Prepare
    act: Act


FLOWS: dict[str, Flow] = {}


def flow(name: str, prepare: Prepare) -> Callable[[Act], Act]:
    def decorate(act: Act) -> Act:
        FLOWS[name] = Flow(name=name, prepare=prepare, act=act)
        return act

    return decorate


# ── what is there before ─────────────────────────────────────────────────────────────────────────


async def owing(context: Context, subject: Subject) -> Subject:
    """A bill that is owed, and its collector, logged in."""
    first = (await context.revenue.bills(subject.contract))[0]
    login = await sessions.login(
        context, staff_id=subject.staff, password=f"mobinet{subject.staff}"
    )
    return replace(subject, bill=first.bill_number, amount=first.amount, token=login.access_token)


def open_by(method: PaymentMethod) -> Prepare:
    """A payment that was asked for, and that nothing was heard of since."""

    async def prepare(context: Context, subject: Subject) -> Subject:
        subject = await owing(context, subject)
        return await _opened(context, subject, method)

    return prepare


def paid_by(method: PaymentMethod, *, amount: int = 0) -> Prepare:
    """A payment that its customer has paid, while the gateway's call was lost."""

    async def prepare(context: Context, subject: Subject) -> Subject:
        subject = await open_by(method)(context, subject)
        await customer_pays(context, subject.reference, amount=amount and subject.amount + amount)
        return subject

    return prepare


async def ended_then_paid(context: Context, subject: Subject) -> Subject:
    """A QR that was cancelled, and that its customer has paid all the same."""
    subject = await open_by(PaymentMethod.VNPAY_QR)(context, subject)
    await inquiries.cancel(await asker(context, subject), subject.payment, reason="left the house")
    await customer_pays(context, subject.reference)
    return subject


async def recorded(context: Context, subject: Subject) -> Subject:
    """A success that Revenue has recorded, and of which Debt knows nothing yet."""
    subject = await open_by(PaymentMethod.CASH)(context, subject)
    await jobs.record_payment(nobody(context), subject.payment)
    return subject


async def handed_in(context: Context, subject: Subject) -> Subject:
    """Cash on its way to the office, which a cashier is about to count."""
    subject = await open_by(PaymentMethod.CASH)(context, subject)
    hand_in = await _submit(await asker(context, subject), subject)
    cashier = await sessions.login(context, staff_id="CA001", password="mobinetCA001")
    return replace(subject, token=cashier.access_token, hand_in=hand_in.id)


async def refundable(context: Context, subject: Subject) -> Subject:
    """A success by the wallet, before which somebody of finance sits."""
    subject = await paid_by(PaymentMethod.FPT_PAY)(context, subject)
    await inquiries.verify(await asker(context, subject), subject.payment)
    finance = await sessions.login(context, staff_id="FI001", password="mobinetFI001")
    return replace(subject, token=finance.access_token)


async def voided(context: Context, subject: Subject) -> Subject:
    """Cash that Revenue and Debt know of, and that was voided since."""
    subject = await recorded(context, subject)
    await jobs.settle_debt(context, subject.payment)
    void = await _void(await asker(context, subject), subject)
    return replace(subject, reversal=void.reversal.id)


# ── what is killed ───────────────────────────────────────────────────────────────────────────────


@flow("cash", owing)
async def _cash(context: Context, subject: Subject) -> object:
    return await _process(context, subject, PaymentMethod.CASH)


@flow("qr", owing)
async def _qr(context: Context, subject: Subject) -> object:
    return await _process(context, subject, PaymentMethod.VNPAY_QR)


@flow("wallet", owing)
async def _wallet(context: Context, subject: Subject) -> object:
    return await _process(context, subject, PaymentMethod.FPT_PAY)


@flow("webhook", paid_by(PaymentMethod.VNPAY_QR))
async def _webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of the wallet", paid_by(PaymentMethod.FPT_PAY))
async def _wallet_webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of too little", paid_by(PaymentMethod.VNPAY_QR, amount=-1000))
async def _too_little(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook after the end", ended_then_paid)
async def _late(context: Context, subject: Subject) -> object:
    await _called(context, subject)
    return await night.pass_(nobody(context), only=subject.payment, ahead=timedelta(minutes=10))


@flow("verify", paid_by(PaymentMethod.VNPAY_QR))
async def _verify(context: Context, subject: Subject) -> object:
    return await inquiries.verify(context, subject.payment)


@flow("cancel", open_by(PaymentMethod.VNPAY_QR))
async def _cancel(context: Context, subject: Subject) -> object:
    return await inquiries.cancel(context, subject.payment, reason="left the house")


@flow("expiry", open_by(PaymentMethod.VNPAY_QR))
async def _expiry(context: Context, subject: Subject) -> object:
    return await night.pass_(nobody(context), only=subject.payment, ahead=timedelta(minutes=16))


@flow("expiry of what is paid", paid_by(PaymentMethod.FPT_PAY))
async def _paid_expiry(context: Context, subject: Subject) -> object:
    return await night.pass_(nobody(context), only=subject.payment, ahead=timedelta(minutes=16))


@flow("recording", open_by(PaymentMethod.CASH))
async def _recording(context: Context, subject: Subject) -> object:
    return await jobs.record_payment(nobody(context), subject.payment)


@flow("debt", recorded)
async def _debt(context: Context, subject: Subject) -> object:
    return await jobs.settle_debt(nobody(context), subject.payment)


@flow("message", open_by(PaymentMethod.CASH))
async def _message(context: Context, subject: Subject) -> object:
    return await jobs.notify_customer(nobody(context), subject.payment)


@flow("hand-in", open_by(PaymentMethod.CASH))
async def _hand_in(context: Context, subject: Subject) -> object:
    return await _submit(context, subject)


@flow("counting a hand-in that lacks", handed_in)
async def _counting(context: Context, subject: Subject) -> object:
    return await hand_ins.confirm(context, subject.hand_in, counted_amount=subject.amount - 1000)


@flow("void", open_by(PaymentMethod.CASH))
async def _voiding(context: Context, subject: Subject) -> object:
    return await _void(context, subject)


@flow("refund", refundable)
async def _refund(context: Context, subject: Subject) -> object:
    return await reversals.refund(
        context,
        subject.payment,
        amount=subject.amount,
        reason="paid by mistake",
        idempotency_key=f"refund-{subject.key}",
    )


@flow("telling of a void", voided)
async def _telling(context: Context, subject: Subject) -> object:
    return await jobs.tell_reversal(nobody(context), subject.reversal)


# ── private ──────────────────────────────────────────────────────────────────────────────────────


async def _process(context: Context, subject: Subject, method: PaymentMethod) -> Payment:
    asked = ProcessPayment(
        idempotency_key=subject.key,
        contract_number=subject.contract,
        method=method,
        items=(bill_item(subject.bill, subject.amount),),
        customer_phone=None,
        notify=NotifyWish(),
    )
    return (await payments.process(context, asked)).payment


async def _void(context: Context, subject: Subject) -> reversals.Reversed:
    key = f"void-{subject.key}"
    return await reversals.void(context, subject.payment, reason="wrong bill", idempotency_key=key)


async def _submit(context: Context, subject: Subject) -> HandIn:
    asked = SubmitHandIn(idempotency_key=subject.key, counted_amount=subject.amount, note=None)
    return await hand_ins.submit(context, asked)


async def _opened(context: Context, subject: Subject, method: PaymentMethod) -> Subject:
    payment = await _process(await asker(context, subject), subject, method)
    reference = payment.attempt.reference if payment.attempt else ""
    return replace(subject, payment=payment.id, reference=reference)


async def _called(context: Context, subject: Subject) -> object:
    """Take the gateway's call raw, as it came to whoever listened in our place."""
    heard = subject.heard
    assert heard is not None, "the gateway has called about it"
    gateway = context.gateways.by_path(heard.path.removeprefix("/webhooks/"))
    assert gateway is not None
    call = Call(
        method=heard.method,
        query=heard.query,
        headers=heard.headers,
        body=heard.body.encode(),
        received_at=await context.clock(),
    )
    return await webhooks.receive(nobody(context), gateway, call)


async def asker(context: Context, subject: Subject) -> Context:
    actor, _ = await sessions.identify(context, subject.token)
    return context.asked_by(actor)


def nobody(context: Context) -> Context:
    """The context of the worker and of webhooks."""
    return context.asked_by(None)


async def customer_pays(context: Context, reference: str, *, amount: int = 0) -> None:
    act: dict[str, Any] = {"reference": reference} | ({"amount": amount} if amount else {})
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.post(f"{os.environ[SANDBOX]}/_sandbox/pay", json=act)
        answer.raise_for_status()


async def again(context: Context, subject: Subject) -> str:
    """Act once more, whole; return what it was refused for, if it was."""
    try:
        await FLOWS[subject.flow].act(await asker(context, subject), subject)
    except (Refusal, Refused) as no:
        return type(no).__name__
    return ""
