"""A bill or reference that is taken between the read and the lock: tries are bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from db import bills, engine, orders, payments
from domain.cases import CaseDecision
from domain.gateways import Call, Notice, Reply, Verdict
from domain.methods import PaymentMethod
from domain.orders import CreateOrder
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment, PaymentStatus
from domain.staff import Actor, Role
from integrations.gateways import Gateways
from resolvers import case_decisions, jobs, payment_inquiry, webhooks
from resolvers import orders as order_commands
from resolvers.case_decisions import ResolveCase
from resolvers.payment_evidence import apply
from tests.support.backend import Backend, StubGateway
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

TRIES = 5
TOO_MANY_TRIES = 50


@contextmanager
def always_taken(module: Any, name: str, error: type[Exception]) -> Iterator[list[object]]:
    """Make every try lose the race; yield the tries."""
    tries: list[object] = []

    async def lose(*args: object, **_: object) -> None:
        tries.append(args)
        assert len(tries) < TOO_MANY_TRIES, "it retries without end"
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, lose)
        yield tries


async def check_raises(work: Awaitable[object], error: type[Exception]) -> None:
    with pytest.raises(error):
        await work


async def new_cancelled_payment(backend: Backend) -> Payment:
    """Return a payment that was cancelled unpaid, whose bill is free."""
    collector = await backend.collector()
    qr = await backend.new_payment(collector)
    return await payment_inquiry.cancel(collector, qr.id, reason="customer left")


def paid_evidence(payment: Payment, *, unreadable: str | None = None) -> Evidence:
    assert payment.attempt is not None
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin="test",
        result=GatewayResult.PAID,
        money=None if unreadable else payment.attempt.money,
        gateway_id="G1",
        unreadable=unreadable,
    )


@dataclass
class WebhookGateway(StubGateway):
    """The stub gateway whose webhooks hold the notices that the test gives it."""

    notice: Notice | None = None

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        assert self.notice is not None
        return (self.notice,)

    def answer(self, verdict: Verdict) -> Reply:
        return Reply(status=200, body=verdict.encode())


async def test_an_inquiry_past_the_bound_changes_nothing_and_its_job_tries_again(
    backend: Backend,
) -> None:
    payment = await new_cancelled_payment(backend)
    backend.gateway.inquiry_result = GatewayResult.PAID
    with always_taken(bills, "lock_again", bills.TakenMeanwhile) as tries:
        await check_raises(jobs.inquire(backend.context, payment.id), bills.TakenMeanwhile)
    assert len(tries) == TRIES
    unchanged = await backend.reload(payment)
    assert (unchanged.status, unchanged.version) == (payment.status, payment.version)
    assert await backend.is_free(payment)
    backend.clock.move(seconds=1)
    await jobs.inquire(backend.context, payment.id)
    assert (await backend.reload(payment)).status is PaymentStatus.SUCCESS


async def test_a_webhook_past_the_bound_stays_stored_and_the_worker_tries_again(
    backend: Backend,
) -> None:
    payment = await new_cancelled_payment(backend)
    assert payment.attempt is not None
    gateway = WebhookGateway(
        notice=Notice(
            event_id=key(), reference=payment.attempt.reference, evidence=paid_evidence(payment)
        )
    )
    context = replace(backend.context, gateways=Gateways([gateway]))
    call = Call(method="POST", query="", headers={}, body=b"{}", received_at=backend.clock.at)
    with always_taken(bills, "lock_again", bills.TakenMeanwhile) as tries:
        reply = await webhooks.receive(context, gateway, call)
    assert reply.body == Verdict.OUR_ERROR.encode()
    assert len(tries) == TRIES
    assert await outcome(payment) == "RECEIVED"
    assert await backend.reload(payment) == payment
    backend.clock.move(minutes=2)
    await webhooks.retry(context)
    assert await outcome(payment) == "HANDLED"
    assert (await backend.reload(payment)).status is PaymentStatus.SUCCESS


async def outcome(payment: Payment) -> str:
    assert payment.attempt is not None
    return await engine.fetchval(
        "select outcome from webhook_event where reference = $1", payment.attempt.reference
    )


async def test_a_decision_past_the_bound_has_no_effect_and_can_be_made_again(
    backend: Backend,
) -> None:
    payment = await new_cancelled_payment(backend)
    assert payment.attempt is not None
    await apply(
        backend.context, payment.attempt.reference, paid_evidence(payment, unreadable="243.000")
    )
    case_id = await engine.fetchval("select id from money_case where payment = $1", payment.id)
    vote = ResolveCase(case_id=case_id, decision=CaseDecision.APPLY, reason="seen at the bank")
    await case_decisions.resolve(await backend.as_staff("FI001"), vote)
    second = await backend.as_staff("FI002")
    before = await backend.reload(payment)
    with always_taken(bills, "lock_again", bills.TakenMeanwhile) as tries:
        await check_raises(case_decisions.resolve(second, vote), bills.TakenMeanwhile)
    assert len(tries) == TRIES
    assert await backend.reload(payment) == before
    count = "select count(*) from case_approval where money_case = $1"
    assert await engine.fetchval(count, case_id) == 1
    await case_decisions.resolve(second, vote)
    assert (await backend.reload(payment)).status is PaymentStatus.SUCCESS


async def test_a_bill_that_is_locked_and_free_in_turn_opens_no_payment(backend: Backend) -> None:
    tries: list[object] = []
    add = payments.add

    async def fail_to_lock(payment: Payment) -> bool:
        tries.append(payment)
        assert await add(payment)
        return False

    collector = await backend.collector()
    assert collector.actor is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payments, "add", fail_to_lock)
        await check_raises(backend.new_payment(collector, PaymentMethod.CASH), bills.TakenMeanwhile)
    assert len(tries) == TRIES
    count = "select count(*) from payment where staff = $1"
    assert await engine.fetchval(count, collector.actor.id) == 0


async def test_an_order_whose_reference_is_always_taken_is_not_created(backend: Backend) -> None:
    merchant = backend.context.for_actor(
        Actor(id=f"merchant-{key()}", name="A shop", role=Role.MERCHANT)
    )
    order = CreateOrder(idempotency_key=key(), reference=key(), amount=10_000)
    with always_taken(orders, "add", orders.ReferenceTaken) as tries:
        await check_raises(order_commands.create(merchant, order), orders.ReferenceTaken)
    assert len(tries) == TRIES
    assert not (await order_commands.create(merchant, order)).replayed
