"""The flows whose every step is a place to die: how each is prepared, and the one act that is killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from db import audit
from db.audit import AuditEvent
from domain.gateways import Call
from domain.methods import GatewayName, PaymentMethod
from domain.refusals import Refusal, Refused
from resolvers import hand_ins, jobs, payment_inquiry, reversals, sealing, settlement, webhooks
from resolvers.context import Context
from tests.crash import night
from tests.crash.subjects import (
    Prepare,
    Subject,
    asker,
    decide,
    ended_then_paid,
    filed,
    half_decided,
    handed_in,
    nobody,
    open_by,
    order_paid,
    ordered,
    owing,
    paid_by,
    pay_order,
    process,
    recorded,
    refundable,
    submit,
    transferred,
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


@flow("bank transfer", owing)
async def _transfer(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.BANK_TRANSFER)


@flow("momo", owing)
async def _momo(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.MOMO)


@flow("card", owing)
async def _card(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.CARD)


@flow("paypal", owing)
async def _paypal(context: Context, subject: Subject) -> object:
    return await process(context, subject, PaymentMethod.PAYPAL)


@flow("order", ordered)
async def _order(context: Context, subject: Subject) -> object:
    return await pay_order(context, subject)


@flow("webhook", paid_by(PaymentMethod.VNPAY_QR))
async def _webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of the wallet", paid_by(PaymentMethod.FPT_PAY))
async def _wallet_webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of momo", paid_by(PaymentMethod.MOMO))
async def _momo_webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of a card", paid_by(PaymentMethod.CARD))
async def _card_webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("webhook of an order", order_paid)
async def _order_webhook(context: Context, subject: Subject) -> object:
    return await _called(context, subject)


@flow("bank's notice", transferred)
async def _notice(context: Context, subject: Subject) -> object:
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
    return await payment_inquiry.verify(context, subject.payment)


@flow("cancel", open_by(PaymentMethod.VNPAY_QR))
async def _cancel(context: Context, subject: Subject) -> object:
    return await payment_inquiry.cancel(context, subject.payment, reason="left the house")


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


@flow("refund", refundable(PaymentMethod.FPT_PAY))
@flow("refund by vnpay", refundable(PaymentMethod.VNPAY_QR))
@flow("refund by momo", refundable(PaymentMethod.MOMO))
@flow("refund to a card", refundable(PaymentMethod.CARD))
@flow("refund by paypal", refundable(PaymentMethod.PAYPAL))
@flow("refund by paypal", refundable(PaymentMethod.PAYPAL))
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
    await jobs.tell_reversal(nobody(context), subject.reversal)
    return await jobs.unsettle_debt(nobody(context), subject.reversal)


@flow("second word on a case", half_decided)
async def _second_word(context: Context, subject: Subject) -> object:
    return await decide(context, subject)


@flow("settlement", filed)
async def _settlement(context: Context, subject: Subject) -> object:
    return await settlement.import_file(nobody(context), GatewayName.VNPAY, Path(subject.file))


@flow("sealing", owing)
async def _sealing(context: Context, subject: Subject) -> object:
    """Whoever seals seals what others wrote too: what is written here may be sealed by another, and is written again."""
    system, links = nobody(context), 0
    while links == 0:
        said = AuditEvent(at=await context.clock(), actor=subject.staff, action="look")
        await audit.append(said)
        links = await sealing.seal(system)
    return links


# ── private ──────────────────────────────────────────────────────────────────────────────────────


async def _called(context: Context, subject: Subject) -> object:
    """Take the gateway's call raw, as it came to whoever listened in our place."""
    heard = subject.heard
    assert heard is not None, "the gateway has called about it"
    path = heard.path.removeprefix("/webhooks/")
    gateway = context.gateways.by_path(path)
    assert gateway is not None
    call = Call(
        path=path,
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
