"""The flows whose every step is a place to die: how each is prepared, and the one act that is killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from domain.gateways import Call
from domain.methods import PaymentMethod
from domain.refusals import Refusal, Refused
from resolvers import hand_ins, inquiries, jobs, reversals, webhooks
from resolvers.context import Context
from tests.crash import night
from tests.crash.subjects import (
    Prepare,
    Subject,
    asker,
    decide,
    ended_then_paid,
    half_decided,
    handed_in,
    nobody,
    open_by,
    owing,
    paid_by,
    process,
    recorded,
    refundable,
    submit,
    void,
    voided,
)

# The context is of whoever the subject's token names.
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


@flow("cash", owing)
async def _cash(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.CASH)


@flow("qr", owing)
async def _qr(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.VNPAY_QR)


@flow("wallet", owing)
async def _wallet(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.FPT_PAY)


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
    return await submit(context, subject)


@flow("counting a hand-in that lacks", handed_in)
async def _counting(context: Context, subject: Subject) -> object:
    return await hand_ins.confirm(context, subject.hand_in, counted_amount=subject.amount - 1000)


@flow("void", open_by(PaymentMethod.CASH))
async def _voiding(context: Context, subject: Subject) -> object:
    return await void(context, subject)


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


@flow("second word on a case", half_decided)
async def _second_word(context: Context, subject: Subject) -> object:
    return await decide(context, subject)


# ── private ──────────────────────────────────────────────────────────────────────────────────────


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


async def again(context: Context, subject: Subject) -> str:
    """Act once more, whole; return what it was refused for, if it was."""
    try:
        await FLOWS[subject.flow].act(await asker(context, subject), subject)
    except (Refusal, Refused) as no:
        return type(no).__name__
    return ""
