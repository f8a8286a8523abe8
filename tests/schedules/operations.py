"""The money operations that are interleaved, each by the one who may ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from db import payments
from domain.methods import PaymentMethod
from resolvers import jobs, payment_inquiry
from tests.crash.flows import FLOWS
from tests.crash.preparations import (
    give_vote,
    process_payment,
    second_contract,
    submit_hand_in,
    void_payment,
)
from tests.schedules.situations import Situation
from tests.support.clocks import SetClock

Operation = Callable[[Situation], Awaitable[object]]


def _pay_by(method: PaymentMethod) -> Operation:
    async def pay(at: Situation) -> object:
        return await process_payment(at.collector, at.prepared, method)

    return pay


async def _cash_elsewhere(at: Situation) -> object:
    """Collect another contract's bill in cash, as the same collector."""
    contract = second_contract(at.prepared)
    first = (await at.collector.revenue.bills(contract))[0]
    other = replace(at.prepared, contract=contract, bill=first.bill_number, amount=first.amount)
    return await process_payment(at.collector, other, PaymentMethod.CASH)


async def _webhook(at: Situation) -> object:
    return await FLOWS["webhook"].act(at.system, at.prepared)


async def _inquire(at: Situation) -> object:
    return await payment_inquiry.verify(at.collector, at.prepared.payment)


async def _expire(at: Situation) -> object:
    """Follow up a minute after the QR's end."""
    payment = await payments.get(at.prepared.payment)
    now = (payment.expires_at or payment.created_at) + timedelta(minutes=1)

    async def clock() -> datetime:
        return now

    return await jobs.follow_up(replace(at.system, clock=SetClock(clock)), payment.id)


async def _cancel(at: Situation) -> object:
    return await payment_inquiry.cancel(at.collector, at.prepared.payment, reason="customer left")


async def _void(at: Situation) -> object:
    return await void_payment(at.collector, at.prepared)


async def _refund(at: Situation) -> object:
    return await FLOWS["refund"].act(at.finance, at.prepared)


async def _resolve(at: Situation) -> object:
    return await give_vote(at.second_voter, at.prepared)


async def _hand_in(at: Situation) -> object:
    return await submit_hand_in(at.collector, at.prepared)


async def _settle(at: Situation) -> object:
    return await FLOWS["settlement"].act(at.system, at.prepared)


OPERATIONS: Mapping[str, Operation] = {
    "cash": _pay_by(PaymentMethod.CASH),
    "cash elsewhere": _cash_elsewhere,
    "qr": _pay_by(PaymentMethod.VNPAY_QR),
    "wallet": _pay_by(PaymentMethod.FPT_PAY),
    "webhook": _webhook,
    "inquiry": _inquire,
    "expire": _expire,
    "cancel": _cancel,
    "void": _void,
    "refund": _refund,
    "resolve": _resolve,
    "hand in": _hand_in,
    "settle": _settle,
}
