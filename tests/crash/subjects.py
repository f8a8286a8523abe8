"""
What is there before a flow begins: a contract of its own, its collector, and the payment so far.

What is prepared is committed, and known by a `Subject`: any process can act on it, again and again,
as a client that repeats itself, a gateway that calls again, and a worker that starts over do.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from db import engine
from domain.calendar import business_date
from domain.cases import Case, CaseDecision
from domain.hand_ins import HandIn, SubmitHandIn
from domain.methods import PaymentMethod
from domain.orders import CreateOrder, PayOrder
from domain.payment_request import NotifyWish, ProcessPayment
from domain.payments import Payment, PaymentStatus
from domain.staff import Role
from resolvers import (
    case_decisions,
    hand_ins,
    jobs,
    orders,
    payment_inquiry,
    payments,
    reversals,
    sessions,
)
from resolvers.context import Context
from tests.support.builders import bill_item

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
    order: str = ""
    payment: str = ""
    reference: str = ""
    file: str = ""
    hand_in: str = ""
    reversal: str = ""
    case: str = ""
    heard: Heard | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a gateway called about it, as it came; `body` as text."""

    path: str
    method: str
    query: str
    headers: dict[str, str]
    body: str


Prepare = Callable[[Context, Subject], Awaitable[Subject]]


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
        return await opened(context, subject, method)

    return prepare


def paid_by(method: PaymentMethod, *, amount: int = 0) -> Prepare:
    """A payment that its customer has paid, while the gateway's call was lost."""

    async def prepare(context: Context, subject: Subject) -> Subject:
        subject = await open_by(method)(context, subject)
        await customer_pays(subject, amount=amount and subject.amount + amount)
        return subject

    return prepare


async def ended_then_paid(context: Context, subject: Subject) -> Subject:
    """A QR that was cancelled, and that its customer has paid all the same."""
    subject = await open_by(PaymentMethod.VNPAY_QR)(context, subject)
    await payment_inquiry.cancel(
        await asker(context, subject), subject.payment, reason="left the house"
    )
    await customer_pays(subject)
    return subject


async def transferred(context: Context, subject: Subject) -> Subject:
    """A transfer that its customer has made, by the QR that their bank's app reads."""
    subject = await open_by(PaymentMethod.BANK_TRANSFER)(context, subject)
    payment = await payments.read(await asker(context, subject), subject.payment)
    assert payment.attempt is not None
    await played("pay", qr=payment.attempt.qr_payload)
    return subject


async def ordered(context: Context, subject: Subject) -> Subject:
    """A merchant's order that nobody pays yet."""
    shop = {"client_id": "shop", "secret": "shop-secret"}
    await sessions.learn_api_client(context, name="Shop", role=Role.MERCHANT, **shop)
    login = await sessions.client_credentials(context, **shop)
    subject = replace(subject, token=login.access_token, amount=120_000)
    asked = CreateOrder(
        idempotency_key=f"order-{subject.key}", reference=subject.key, amount=subject.amount
    )
    created = await orders.create(await asker(context, subject), asked)
    return replace(subject, order=created.order.id)


async def order_paid(context: Context, subject: Subject) -> Subject:
    """An order that its payer has paid, while the gateway's call was lost."""
    subject = await ordered(context, subject)
    subject = known(subject, await pay_order(await asker(context, subject), subject))
    await customer_pays(subject)
    return subject


async def filed(context: Context, subject: Subject) -> Subject:
    """A payment of which we know nothing, and the gateway's settlement file of a day that has it alone."""
    subject = await paid_by(PaymentMethod.VNPAY_QR)(context, subject)
    today = business_date(datetime.now(UTC))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.get(f"{os.environ[SANDBOX]}/_sandbox/settlement/vnpay?date={today}")
    heading, *lines = answer.text.splitlines()
    (line,) = (item for item in lines if item.startswith(subject.reference))
    day = date(2000, 1, 1) + timedelta(days=int(subject.contract.removeprefix("SGFDN")))
    *cells, _ = line.split(",")
    file = context.heads.path.parent / f"vnpay-{subject.contract}.csv"
    file.write_text("\n".join([heading, ",".join([*cells, f"{day}T12:00:00+07:00"]), ""]))
    return replace(subject, file=str(file))


async def recorded(context: Context, subject: Subject) -> Subject:
    """A success that Revenue has recorded, and of which Debt knows nothing yet."""
    subject = await open_by(PaymentMethod.CASH)(context, subject)
    await jobs.record_payment(nobody(context), subject.payment)
    return subject


async def handed_in(context: Context, subject: Subject) -> Subject:
    """Cash on its way to the office, which a cashier is about to count."""
    subject = await open_by(PaymentMethod.CASH)(context, subject)
    hand_in = await submit(await asker(context, subject), subject)
    cashier = await sessions.login(context, staff_id="CA001", password="mobinetCA001")
    return replace(subject, token=cashier.access_token, hand_in=hand_in.id)


def refundable(method: PaymentMethod) -> Prepare:
    """A success, before which somebody of finance sits."""

    async def prepare(context: Context, subject: Subject) -> Subject:
        subject = await paid_by(method)(context, subject)
        verified = await payment_inquiry.verify(await asker(context, subject), subject.payment)
        assert verified.status is PaymentStatus.SUCCESS, verified
        finance = await sessions.login(context, staff_id="FI001", password="mobinetFI001")
        return replace(subject, token=finance.access_token)

    return prepare


async def voided(context: Context, subject: Subject) -> Subject:
    """Cash that Revenue and Debt know of, and that was voided since."""
    subject = await recorded(context, subject)
    await jobs.settle_debt(context, subject.payment)
    done = await void(await asker(context, subject), subject)
    return replace(subject, reversal=done.reversal.id)


async def half_decided(context: Context, subject: Subject) -> Subject:
    """Too little came, and one of two people has said to give it back."""
    subject = await paid_by(PaymentMethod.FPT_PAY, amount=-1000)(context, subject)
    await payment_inquiry.verify(await asker(context, subject), subject.payment)
    case = await engine.fetchval("select id from money_case where payment = $1", subject.payment)
    for staff_id in ("FI001", "FI002"):
        login = await sessions.login(context, staff_id=staff_id, password=f"mobinet{staff_id}")
        subject = replace(subject, token=login.access_token, case=case)
        if staff_id == "FI001":
            await decide(await asker(context, subject), subject)
    return subject


# ── what clients and customers do ────────────────────────────────────────────────────────────────


async def process(context: Context, subject: Subject, method: PaymentMethod) -> Payment:
    asked = ProcessPayment(
        idempotency_key=subject.key,
        contract_number=subject.contract,
        method=method,
        items=(bill_item(subject.bill, subject.amount),),
        customer_phone=None,
        notify=NotifyWish(),
    )
    return (await payments.process(context, asked)).payment


async def pay_order(context: Context, subject: Subject) -> Payment:
    asked = PayOrder(
        idempotency_key=subject.key,
        order_id=subject.order,
        amount=subject.amount,
        method=PaymentMethod.VNPAY_QR,
    )
    return (await orders.pay(context, asked)).payment


async def decide(context: Context, subject: Subject) -> Case:
    asked = case_decisions.ResolveCase(
        case_id=subject.case, decision=CaseDecision.REFUND, reason="the customer wants it back"
    )
    return await case_decisions.resolve(context, asked)


async def void(context: Context, subject: Subject) -> reversals.Reversed:
    key = f"void-{subject.key}"
    return await reversals.void(context, subject.payment, reason="wrong bill", idempotency_key=key)


async def submit(context: Context, subject: Subject) -> HandIn:
    asked = SubmitHandIn(idempotency_key=subject.key, counted_amount=subject.amount, note=None)
    return await hand_ins.submit(context, asked)


async def opened(context: Context, subject: Subject, method: PaymentMethod) -> Subject:
    return known(subject, await process(await asker(context, subject), subject, method))


def known(subject: Subject, payment: Payment) -> Subject:
    reference = payment.attempt.reference if payment.attempt else ""
    return replace(subject, payment=payment.id, reference=reference)


async def asker(context: Context, subject: Subject) -> Context:
    actor, _ = await sessions.identify(context, subject.token)
    return context.for_actor(actor)


def nobody(context: Context) -> Context:
    """The context of the worker and of webhooks."""
    return context.for_actor(None)


async def customer_pays(subject: Subject, *, amount: int = 0) -> None:
    more = {"amount": amount} if amount else {}
    await played("pay", reference=subject.reference, **more)


async def played(what: str, **act: Any) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.post(f"{os.environ[SANDBOX]}/_sandbox/{what}", json=act)
        answer.raise_for_status()
