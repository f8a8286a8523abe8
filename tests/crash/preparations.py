"""
What is in the database before a flow begins: a contract of its own, its collector, and a payment.

Everything prepared is committed and named by a `Prepared`, so that any process can act on it,
repeatedly.
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
from domain.payment_request import NotificationChannels, ProcessPayment
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

SANDBOX = "CRASH_SANDBOX"  # the environment variable with the sandbox's URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A contract of one flow's own, its collector, and what was prepared for it, if anything."""

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
    gateway_call: GatewayCall | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCall:
    """A gateway's call about the prepared payment, with its body as text."""

    path: str
    method: str
    query: str
    headers: dict[str, str]
    body: str


Prepare = Callable[[Context, Prepared], Awaitable[Prepared]]


async def unpaid_bill(context: Context, prepared: Prepared) -> Prepared:
    """Prepare an unpaid bill and log in its collector."""
    first = (await context.revenue.bills(prepared.contract))[0]
    login = await sessions.login(
        context, staff_id=prepared.staff, password=f"mobinet{prepared.staff}"
    )
    return replace(prepared, bill=first.bill_number, amount=first.amount, token=login.access_token)


def open_payment_by(method: PaymentMethod) -> Prepare:
    """Prepare a payment that was started and has no outcome yet; cash is a success."""

    async def prepare(context: Context, prepared: Prepared) -> Prepared:
        prepared = await unpaid_bill(context, prepared)
        return await open_payment(context, prepared, method)

    return prepare


def paid_by(method: PaymentMethod, *, amount: int = 0) -> Prepare:
    """Prepare a payment that its customer has paid, while the gateway's call was lost."""

    async def prepare(context: Context, prepared: Prepared) -> Prepared:
        prepared = await open_payment_by(method)(context, prepared)
        await customer_pays(prepared, amount=amount and prepared.amount + amount)
        return prepared

    return prepare


async def cancelled_then_paid(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a QR that was cancelled and that its customer has paid nevertheless."""
    prepared = await open_payment_by(PaymentMethod.VNPAY_QR)(context, prepared)
    await payment_inquiry.cancel(
        await context_of(context, prepared), prepared.payment, reason="customer left"
    )
    await customer_pays(prepared)
    return prepared


async def paid_transfer(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a bank transfer that the customer has made by its QR."""
    prepared = await open_payment_by(PaymentMethod.BANK_TRANSFER)(context, prepared)
    payment = await payments.read(await context_of(context, prepared), prepared.payment)
    assert payment.attempt is not None
    await order_sandbox("pay", qr=payment.attempt.qr_payload)
    return prepared


async def open_order(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a merchant's unpaid order."""
    shop = {"client_id": "shop", "secret": "shop-secret"}
    await sessions.register_api_client(context, name="Shop", role=Role.MERCHANT, **shop)
    login = await sessions.client_credentials(context, **shop)
    prepared = replace(prepared, token=login.access_token, amount=120_000)
    command = CreateOrder(
        idempotency_key=f"order-{prepared.key}", reference=prepared.key, amount=prepared.amount
    )
    created = await orders.create(await context_of(context, prepared), command)
    return replace(prepared, order=created.order.id)


async def paid_order(context: Context, prepared: Prepared) -> Prepared:
    """Prepare an order that its payer has paid, while the gateway's call was lost."""
    prepared = await open_order(context, prepared)
    prepared = with_payment(
        prepared, await pay_order(await context_of(context, prepared), prepared)
    )
    await customer_pays(prepared)
    return prepared


async def settlement_file(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a paid payment without evidence, and a settlement file with its line alone."""
    return await settled(context, await paid_by(PaymentMethod.VNPAY_QR)(context, prepared))


async def settled(context: Context, prepared: Prepared) -> Prepared:
    """Write a settlement file with the line of a payment that is paid at VNPay."""
    today = business_date(datetime.now(UTC))
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.get(f"{os.environ[SANDBOX]}/_sandbox/settlement/vnpay?date={today}")
    heading, *lines = answer.text.splitlines()
    (line,) = (line for line in lines if line.startswith(prepared.reference))
    day = date(2000, 1, 1) + timedelta(days=int(prepared.contract.removeprefix("SGFDN")))
    *cells, _ = line.split(",")
    file = context.heads.path.parent / f"vnpay-{prepared.contract}.csv"
    file.write_text("\n".join([heading, ",".join([*cells, f"{day}T12:00:00+07:00"]), ""]))
    return replace(prepared, file=str(file))


async def recorded_payment(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a success that Revenue has recorded and Debt has not."""
    prepared = await open_payment_by(PaymentMethod.CASH)(context, prepared)
    await jobs.record_payment(system_context(context), prepared.payment)
    return prepared


async def two_successes(context: Context, prepared: Prepared) -> Prepared:
    """Prepare two cash payments of one collector, whose jobs share a batch."""
    other = replace(prepared, contract=second_contract(prepared), key=f"{prepared.key}-second")
    await open_payment_by(PaymentMethod.CASH)(context, other)
    return await open_payment_by(PaymentMethod.CASH)(context, prepared)


def second_contract(prepared: Prepared) -> str:
    return f"SGFDN{int(prepared.contract.removeprefix('SGFDN')) + 5000}"


async def submitted_hand_in(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a submitted hand-in and log in the cashier who counts it."""
    prepared = await open_payment_by(PaymentMethod.CASH)(context, prepared)
    hand_in = await submit_hand_in(await context_of(context, prepared), prepared)
    cashier = await sessions.login(context, staff_id="CA001", password="mobinetCA001")
    return replace(prepared, token=cashier.access_token, hand_in=hand_in.id)


def refundable_by(method: PaymentMethod) -> Prepare:
    """Prepare a success by a gateway and log in a member of finance."""

    async def prepare(context: Context, prepared: Prepared) -> Prepared:
        prepared = await paid_by(method)(context, prepared)
        verified = await payment_inquiry.verify(
            await context_of(context, prepared), prepared.payment
        )
        assert verified.status is PaymentStatus.SUCCESS, verified
        finance = await sessions.login(context, staff_id="FI001", password="mobinetFI001")
        return replace(prepared, token=finance.access_token)

    return prepare


async def voided_payment(context: Context, prepared: Prepared) -> Prepared:
    """Prepare voided cash that Revenue and Debt had recorded."""
    prepared = await recorded_payment(context, prepared)
    await jobs.settle_debt(context, prepared.payment)
    done = await void_payment(await context_of(context, prepared), prepared)
    return replace(prepared, reversal=done.reversal.id)


async def first_vote_given(context: Context, prepared: Prepared) -> Prepared:
    """Prepare a case of too little money, with the first of two votes to refund it."""
    prepared = await paid_by(PaymentMethod.FPT_PAY, amount=-1000)(context, prepared)
    await payment_inquiry.verify(await context_of(context, prepared), prepared.payment)
    case = await engine.fetchval("select id from money_case where payment = $1", prepared.payment)
    for staff_id in ("FI001", "FI002"):
        login = await sessions.login(context, staff_id=staff_id, password=f"mobinet{staff_id}")
        prepared = replace(prepared, token=login.access_token, case=case)
        if staff_id == "FI001":
            await give_vote(await context_of(context, prepared), prepared)
    return prepared


# ── what clients and customers do ────────────────────────────────────────────────────────────────


async def process_payment(context: Context, prepared: Prepared, method: PaymentMethod) -> Payment:
    command = ProcessPayment(
        idempotency_key=prepared.key,
        contract_number=prepared.contract,
        method=method,
        items=(bill_item(prepared.bill, prepared.amount),),
        customer_phone=None,
        notify=NotificationChannels(),
    )
    return (await payments.process(context, command)).payment


async def pay_order(context: Context, prepared: Prepared) -> Payment:
    command = PayOrder(
        idempotency_key=prepared.key,
        order_id=prepared.order,
        amount=prepared.amount,
        method=PaymentMethod.VNPAY_QR,
    )
    return (await orders.pay(context, command)).payment


async def give_vote(context: Context, prepared: Prepared) -> Case:
    command = case_decisions.ResolveCase(
        case_id=prepared.case, decision=CaseDecision.REFUND, reason="the customer wants it back"
    )
    return await case_decisions.resolve(context, command)


async def void_payment(context: Context, prepared: Prepared) -> reversals.ReversalResult:
    key = f"void-{prepared.key}"
    return await reversals.void(context, prepared.payment, reason="wrong bill", idempotency_key=key)


async def submit_hand_in(context: Context, prepared: Prepared) -> HandIn:
    command = SubmitHandIn(idempotency_key=prepared.key, counted_amount=prepared.amount, note=None)
    return await hand_ins.submit(context, command)


async def open_payment(context: Context, prepared: Prepared, method: PaymentMethod) -> Prepared:
    return with_payment(
        prepared, await process_payment(await context_of(context, prepared), prepared, method)
    )


def with_payment(prepared: Prepared, payment: Payment) -> Prepared:
    reference = payment.attempt.reference if payment.attempt else ""
    return replace(prepared, payment=payment.id, reference=reference)


async def context_of(context: Context, prepared: Prepared) -> Context:
    actor, _ = await sessions.identify(context, prepared.token)
    return context.for_actor(actor)


def system_context(context: Context) -> Context:
    """Return the context of the worker and of webhooks, which has no actor."""
    return context.for_actor(None)


async def customer_pays(prepared: Prepared, *, amount: int = 0) -> None:
    changed = {"amount": amount} if amount else {}
    await order_sandbox("pay", reference=prepared.reference, **changed)


async def order_sandbox(control: str, **act: Any) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        answer = await http.post(f"{os.environ[SANDBOX]}/_sandbox/{control}", json=act)
        answer.raise_for_status()
