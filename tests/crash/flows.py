"""The flows that a kill interrupts at each step: how each is prepared, and the act itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from db import audit, engine
from db import jobs as queue
from db.audit import AuditEvent
from db.jobs import ClaimedJob
from domain.gateways import Call
from domain.methods import GatewayName, PaymentMethod
from domain.refusals import Refusal, Refused
from resolvers import hand_ins, jobs, payment_inquiry, reversals, sealing, settlement, webhooks
from resolvers.context import Context
from resolvers.job_runner import JobRunner
from tests.crash.due_jobs import run_due_jobs
from tests.crash.preparations import (
    Prepare,
    Prepared,
    cancelled_then_paid,
    context_of,
    first_vote_given,
    give_vote,
    open_order,
    open_payment_by,
    paid_by,
    paid_order,
    paid_transfer,
    pay_order,
    process_payment,
    recorded_payment,
    refundable_by,
    second_contract,
    settlement_file,
    submit_hand_in,
    submitted_hand_in,
    system_context,
    two_successes,
    unpaid_bill,
    void_payment,
    voided_payment,
)

# The context belongs to the actor that the token of Prepared names.
Act = Callable[[Context, Prepared], Awaitable[object]]


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


@flow("cash", unpaid_bill)
async def _cash(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.CASH)


@flow("qr", unpaid_bill)
async def _qr(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.VNPAY_QR)


@flow("wallet", unpaid_bill)
async def _wallet(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.FPT_PAY)


@flow("bank transfer", unpaid_bill)
async def _transfer(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.BANK_TRANSFER)


@flow("momo", unpaid_bill)
async def _momo(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.MOMO)


@flow("card", unpaid_bill)
async def _card(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.CARD)


@flow("paypal", unpaid_bill)
async def _paypal(context: Context, prepared: Prepared) -> object:
    return await process_payment(context, prepared, PaymentMethod.PAYPAL)


@flow("order", open_order)
async def _order(context: Context, prepared: Prepared) -> object:
    return await pay_order(context, prepared)


@flow("webhook", paid_by(PaymentMethod.VNPAY_QR))
async def _webhook(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook of the wallet", paid_by(PaymentMethod.FPT_PAY))
async def _wallet_webhook(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook of momo", paid_by(PaymentMethod.MOMO))
async def _momo_webhook(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook of a card", paid_by(PaymentMethod.CARD))
async def _card_webhook(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook of an order", paid_order)
async def _order_webhook(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("bank's notice", paid_transfer)
async def _notice(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook of too little", paid_by(PaymentMethod.VNPAY_QR, amount=-1000))
async def _too_little(context: Context, prepared: Prepared) -> object:
    return await _receive_webhook(context, prepared)


@flow("webhook after the end", cancelled_then_paid)
async def _late(context: Context, prepared: Prepared) -> object:
    await _receive_webhook(context, prepared)
    return await run_due_jobs(
        system_context(context), only=prepared.payment, ahead=timedelta(minutes=10)
    )


@flow("verify", paid_by(PaymentMethod.VNPAY_QR))
async def _verify(context: Context, prepared: Prepared) -> object:
    return await payment_inquiry.verify(context, prepared.payment)


@flow("cancel", open_payment_by(PaymentMethod.VNPAY_QR))
async def _cancel(context: Context, prepared: Prepared) -> object:
    return await payment_inquiry.cancel(context, prepared.payment, reason="customer left")


@flow("expiry", open_payment_by(PaymentMethod.VNPAY_QR))
async def _expiry(context: Context, prepared: Prepared) -> object:
    return await run_due_jobs(
        system_context(context), only=prepared.payment, ahead=timedelta(minutes=16)
    )


@flow("expiry of what is paid", paid_by(PaymentMethod.FPT_PAY))
async def _paid_expiry(context: Context, prepared: Prepared) -> object:
    return await run_due_jobs(
        system_context(context), only=prepared.payment, ahead=timedelta(minutes=16)
    )


@flow("recording", open_payment_by(PaymentMethod.CASH))
async def _recording(context: Context, prepared: Prepared) -> object:
    return await jobs.record_payment(system_context(context), prepared.payment)


@flow("debt", recorded_payment)
async def _debt(context: Context, prepared: Prepared) -> object:
    return await jobs.settle_debt(system_context(context), prepared.payment)


@flow("message", open_payment_by(PaymentMethod.CASH))
async def _message(context: Context, prepared: Prepared) -> object:
    return await jobs.notify_customer(system_context(context), prepared.payment)


@flow("jobs in batches", two_successes)
async def _batches(context: Context, prepared: Prepared) -> object:
    """Run the jobs of two payments as a worker does: Revenue and messages, then Debt."""
    runner = JobRunner(system_context(context))
    for _ in range(2):
        runner.start(await _claim_jobs(runner.id, prepared))
        await runner.finish()
    return runner


@flow("hand-in", open_payment_by(PaymentMethod.CASH))
async def _hand_in(context: Context, prepared: Prepared) -> object:
    return await submit_hand_in(context, prepared)


@flow("counting a hand-in that is short", submitted_hand_in)
async def _counting(context: Context, prepared: Prepared) -> object:
    return await hand_ins.confirm(context, prepared.hand_in, counted_amount=prepared.amount - 1000)


@flow("void", open_payment_by(PaymentMethod.CASH))
async def _voiding(context: Context, prepared: Prepared) -> object:
    return await void_payment(context, prepared)


@flow("refund", refundable_by(PaymentMethod.FPT_PAY))
@flow("refund by vnpay", refundable_by(PaymentMethod.VNPAY_QR))
@flow("refund by momo", refundable_by(PaymentMethod.MOMO))
@flow("refund to a card", refundable_by(PaymentMethod.CARD))
@flow("refund by paypal", refundable_by(PaymentMethod.PAYPAL))
async def _refund(context: Context, prepared: Prepared) -> object:
    return await reversals.refund(
        context,
        prepared.payment,
        amount=prepared.amount,
        reason="paid by mistake",
        idempotency_key=f"refund-{prepared.key}",
    )


@flow("recording of a void", voided_payment)
async def _void_recording(context: Context, prepared: Prepared) -> object:
    await jobs.report_reversal(system_context(context), prepared.reversal)
    return await jobs.unsettle_debt(system_context(context), prepared.reversal)


@flow("second vote on a case", first_vote_given)
async def _second_vote(context: Context, prepared: Prepared) -> object:
    return await give_vote(context, prepared)


@flow("settlement", settlement_file)
async def _settlement(context: Context, prepared: Prepared) -> object:
    return await settlement.import_file(
        system_context(context), GatewayName.VNPAY, Path(prepared.file)
    )


@flow("sealing", unpaid_bill)
async def _sealing(context: Context, prepared: Prepared) -> object:
    """Write audit rows until this process seals one; another process may seal a row first."""
    system, sealed = system_context(context), 0
    while sealed == 0:
        event = AuditEvent(at=await context.clock(), actor=prepared.staff, action="look")
        await audit.append(event)
        sealed = await sealing.seal(system)
    return sealed


# ── private ──────────────────────────────────────────────────────────────────────────────────────


async def _claim_jobs(worker: UUID, prepared: Prepared) -> list[ClaimedJob]:
    """Claim the jobs of the prepared payments alone: other flows have jobs in the same queue."""
    rows = await engine.fetch(
        """
        update pgqueuer set status = 'picked', queue_manager_id = $1, heartbeat = now()
         where convert_from(payload, 'UTF8')::json ->> 'subject' in (
               select id from payment where contract_number = any($2))
        returning id, entrypoint, payload
        """,
        worker,
        [prepared.contract, second_contract(prepared)],
    )
    return [
        ClaimedJob(
            id=row["id"],
            name=row["entrypoint"],
            subject=queue.subject(row["payload"]),
            age=timedelta(0),
            attempts=0,
            deaths=0,
        )
        for row in rows
    ]


async def _receive_webhook(context: Context, prepared: Prepared) -> object:
    """Handle the gateway's call, as the harness received it in place of the API."""
    gateway_call = prepared.gateway_call
    assert gateway_call is not None, "no gateway has called about this payment"
    path = gateway_call.path.removeprefix("/webhooks/")
    gateway = context.gateways.by_path(path)
    assert gateway is not None
    call = Call(
        path=path,
        method=gateway_call.method,
        query=gateway_call.query,
        headers=gateway_call.headers,
        body=gateway_call.body.encode(),
        received_at=await context.clock(),
    )
    return await webhooks.receive(system_context(context), gateway, call)


async def repeat(context: Context, prepared: Prepared) -> str:
    """Act once more without a kill; return the name of the refusal, or nothing."""
    try:
        await FLOWS[prepared.flow].act(await context_of(context, prepared), prepared)
    except (Refusal, Refused) as refusal:
        return type(refusal).__name__
    return ""
