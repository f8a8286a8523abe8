"""The jobs after a success may run any number of times: nothing is lost or doubled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from db import engine
from domain.methods import PaymentMethod
from domain.payment_request import NotificationChannels
from domain.payments import Payment, PaymentStatus, PostingStatus
from domain.refusals import UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.systems.revenue import Revenue
from mobinet.settings import Settings
from resolvers import jobs
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

DEBT_JOBS = "select count(*) from pgqueuer where entrypoint = 'settle_debt' and payload = $1"


async def new_success(backend: Backend, **changes: Any) -> Payment:
    return await backend.new_payment(await backend.collector(), PaymentMethod.CASH, **changes)


async def new_success_with_hifpt(backend: Backend) -> Payment:
    """Make a success whose customer has HiFPT."""
    while True:
        payment = await new_success(backend)
        if payment.notify.hifpt:
            return payment


def notifications(backend: Backend, payment: Payment) -> list[tuple[str, int]]:
    return [
        (message["system"], message["times"])
        for message in backend.sandbox.truth["messages"]
        if message["transaction_id"] == payment.id
        or payment.id in str(message.get("recipient", ""))
    ]


async def stored_notification(payment: Payment) -> Any:
    rows = await engine.fetch("select * from notification where payment = $1", payment.id)
    assert len(rows) <= 1
    return rows[0] if rows else None


@pytest.mark.invariant(30)
async def test_the_customer_is_notified_once_however_often_the_job_runs(backend: Backend) -> None:
    payment = await new_success_with_hifpt(backend)
    for _ in range(3):
        assert await jobs.notify_customer(backend.context, payment.id) is None
    assert notifications(backend, payment) == [("hifpt", 1)]
    assert (await stored_notification(payment))["status"] == "SENT"


async def test_a_refusal_by_hifpt_falls_back_to_sms(backend: Backend) -> None:
    payment = await new_success_with_hifpt(backend)
    with backend.sandbox.broken("hifpt", "refuse"):
        assert await jobs.notify_customer(backend.context, payment.id) is None
    row = await stored_notification(payment)
    assert (row["channel"], row["status"]) == ("SMS", "SENT")
    assert "hifpt" not in dict(notifications(backend, payment))


@pytest.mark.parametrize("processed", [False, True], ids=["lost before", "taken, answer lost"])
async def test_silence_repeats_the_same_channel_without_a_second_message(
    backend: Backend, processed: bool
) -> None:
    payment = await new_success_with_hifpt(backend)
    with (
        backend.sandbox.broken("hifpt", "reset", after_processing=processed),
        pytest.raises(jobs.NotDelivered),
    ):
        await jobs.notify_customer(backend.context, payment.id)
    row = await stored_notification(payment)
    assert (row["channel"], row["status"]) == ("HIFPT", "PENDING")
    await jobs.notify_customer(backend.context, payment.id)
    assert notifications(backend, payment) == [("hifpt", 1)]
    assert (await stored_notification(payment))["attempts"] == 2


async def test_a_refusal_by_every_channel_is_recorded_and_not_retried(
    backend: Backend,
) -> None:
    payment = await new_success_with_hifpt(backend)
    with backend.sandbox.broken("hifpt", "refuse"), backend.sandbox.broken("sms", "refuse"):
        assert await jobs.notify_customer(backend.context, payment.id) is None
    assert (await stored_notification(payment))["status"] == "FAILED"
    assert await jobs.notify_customer(backend.context, payment.id) is None
    assert notifications(backend, payment) == []


async def test_a_customer_who_wants_no_message_gets_none(backend: Backend) -> None:
    payment = await new_success(backend, notify=NotificationChannels(hifpt=False, sms_zalo=False))
    assert await jobs.notify_customer(backend.context, payment.id) is None
    assert await stored_notification(payment) is None


async def test_a_success_stays_while_revenue_is_down_and_is_recorded_once_afterwards(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    assert payment.posting_status is PostingStatus.PENDING
    with backend.sandbox.broken("revenue", "500"), pytest.raises(Exception, match=r"."):
        await jobs.record_payment(backend.context, payment.id)
    after = await backend.reload(payment)
    assert (after.status, after.posting_status) == (PaymentStatus.SUCCESS, PostingStatus.PENDING)
    for _ in range(3):
        assert await jobs.record_payment(backend.context, payment.id) is None
    recorded = await backend.reload(payment)
    assert recorded.posting_status is PostingStatus.DONE
    assert recorded.version == payment.version + 1
    assert records(backend, payment) == [1]


async def test_a_lost_answer_of_revenue_makes_no_second_record(backend: Backend) -> None:
    payment = await new_success(backend)
    with (
        backend.sandbox.broken("revenue", "reset", after_processing=True),
        pytest.raises(Exception, match=r"."),
    ):
        await jobs.record_payment(backend.context, payment.id)
    assert await jobs.record_payment(backend.context, payment.id) is None
    assert records(backend, payment) == [1]


async def test_debt_is_notified_once_and_only_after_revenue_has_the_payment(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    subject = orjson.dumps({"subject": payment.id})
    assert await engine.fetchval(DEBT_JOBS, subject) == 0
    for _ in range(2):
        assert await jobs.record_payment(backend.context, payment.id) is None
        assert await engine.fetchval(DEBT_JOBS, subject) == 1
    for _ in range(2):
        assert await jobs.settle_debt(backend.context, payment.id) is None
    assert len(settlements(backend, payment)) == 1


async def test_a_bill_that_revenue_booked_for_another_payment_is_one_case(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    assert payment.completed_at is not None
    await backend.context.revenue.record(
        transaction_id="TXN_OF_ANOTHER_SYSTEM",
        contract_number=payment.contract_number,
        method=payment.method,
        paid_at=payment.completed_at,
        items=payment.items,
        staff_id=payment.staff_id,
    )
    request = backend.sandbox.last_request
    for _ in range(3):
        assert await jobs.record_payment(backend.context, payment.id) is None
    assert len(backend.sandbox.requests("revenue", since=request)) == 1, (
        "a definite refusal is not retried"
    )
    after = await backend.reload(payment)
    assert (after.status, after.posting_status) == (PaymentStatus.SUCCESS, PostingStatus.FAILED)
    assert after.version == payment.version + 1, "watchers are notified once"
    assert await backend.cases(payment) == ["RECORD_REFUSED"]
    assert not await backend.is_free(payment)
    assert records(backend, payment) == []
    assert await engine.fetchval(DEBT_JOBS, orjson.dumps({"subject": payment.id})) == 0


async def test_a_refused_api_key_is_no_refused_record(
    backend: Backend, api_settings: Settings
) -> None:
    payment = await new_success(backend)
    upstream = Upstream("revenue", api_settings.revenue.url, headers={"X-Api-Key": "expired"})
    with pytest.raises(UpstreamUnavailable):
        await jobs.record_payment(replace(backend.context, revenue=Revenue(upstream)), payment.id)
    await upstream.aclose()
    assert (await backend.reload(payment)).posting_status is PostingStatus.PENDING
    assert await backend.cases(payment) == []
    assert await jobs.record_payment(backend.context, payment.id) is None


def records(backend: Backend, payment: Payment) -> list[int]:
    return [
        record["times"]
        for record in backend.sandbox.truth["records"]
        if record["transaction_id"] == payment.id
    ]


def settlements(backend: Backend, payment: Payment) -> list[Any]:
    return [debt for debt in backend.sandbox.truth["debts"] if payment.id in str(debt)]
