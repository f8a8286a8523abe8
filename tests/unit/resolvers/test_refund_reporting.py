"""Revenue and Debt are notified of reversals in order; jobs that depend on one wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from db import engine, payments
from domain.methods import PaymentMethod
from domain.payments import PostingStatus
from domain.refusals import UpstreamUnavailable
from domain.reversals import Reversal
from integrations.http.parsing import Rejected
from resolvers import jobs
from tests.support.backend import Backend
from tests.support.voids import cash, now, voided

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


def posted_paths(backend: Backend, since: int) -> list[str]:
    requests = backend.sandbox.requests(since=since)
    return [request["path"] for request in requests if request["method"] == "POST"]


async def test_revenue_and_debt_are_notified_of_a_void_once_in_order_after_the_payment(
    backend: Backend,
) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    since = backend.sandbox.last_request
    reversal = (await voided(backend, payment, by)).reversal
    assert reversal.posting_status is PostingStatus.PENDING
    assert await jobs.report_reversal(backend.context, reversal.id) is not None, (
        "Revenue and Debt do not know the payment yet"
    )
    again = await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    assert await jobs.record_payment(backend.context, again.id) is not None, (
        "it waits for the reversal"
    )
    await jobs.record_payment(backend.context, payment.id)
    await jobs.settle_debt(backend.context, payment.id)
    for _ in range(2):
        assert await jobs.report_reversal(backend.context, reversal.id) is None
        assert await count_unsettle_jobs(reversal) == 1
    for _ in range(2):
        assert await jobs.unsettle_debt(backend.context, reversal.id) is None
    assert await jobs.record_payment(backend.context, again.id) is None
    assert posted_paths(backend, since) == [
        "/api/payments/record", "/api/debts/settle",
        "/api/payments/reverse", "/api/debts/unsettle", "/api/debts/unsettle",
        "/api/payments/record",
    ]  # fmt: skip
    unsettled = [
        debt["reversed"]
        for debt in backend.sandbox.truth["debts"]
        if debt["transaction_id"] == payment.id
    ]
    assert unsettled == [payment.amount], "the second was a repeat"
    assert (await now(reversal)).posting_status is PostingStatus.DONE
    assert (await backend.reload(again)).posting_status is PostingStatus.DONE


async def count_unsettle_jobs(reversal: Reversal) -> int:
    sql = "select count(*) from pgqueuer where entrypoint = 'unsettle_debt' and payload = $1"
    return await engine.fetchval(sql, orjson.dumps({"subject": reversal.id}))


async def test_a_bill_that_is_paid_again_is_recorded_though_debt_does_not_answer(
    backend: Backend,
) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    await jobs.record_payment(backend.context, payment.id)
    reversal = (await voided(backend, payment, by)).reversal
    assert await jobs.report_reversal(backend.context, reversal.id) is None
    again = await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    with backend.sandbox.broken("debt", "500"):
        assert await jobs.record_payment(backend.context, again.id) is None
        with pytest.raises(UpstreamUnavailable):
            await jobs.unsettle_debt(backend.context, reversal.id)
    assert (await backend.reload(again)).posting_status is PostingStatus.DONE
    with pytest.raises(Rejected):  # Debt does not know the payment yet, which opens no case
        await jobs.unsettle_debt(backend.context, reversal.id)
    assert await backend.cases(payment) == []


async def test_a_refusal_by_debt_of_a_reversal_is_one_case(backend: Backend) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    reversal = (await voided(backend, payment, by)).reversal
    await jobs.record_payment(backend.context, payment.id)
    await jobs.settle_debt(backend.context, payment.id)
    await backend.context.debts.unsettle(replace(reversal, id="REV_OF_ANOTHER_SYSTEM"))
    for _ in range(2):
        with pytest.raises(Rejected):
            await jobs.unsettle_debt(backend.context, reversal.id)
    assert await backend.cases(payment) == ["SETTLEMENT"]


async def test_a_job_that_waits_for_an_unreported_reversal_backs_off(
    backend: Backend,
) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    await voided(backend, payment, by)
    again = await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    waits: list[timedelta | None] = []
    for minutes in (0, 4, 60 * 24):
        backend.clock.move(minutes=minutes)
        waits.append(await jobs.record_payment(backend.context, again.id))
    assert waits == [timedelta(seconds=2), timedelta(minutes=2), timedelta(minutes=10)]


async def test_two_voids_before_any_report_to_revenue_do_not_block_each_other(
    backend: Backend,
) -> None:
    by = await backend.collector()
    earlier = await cash(backend, by)
    first = (await voided(backend, earlier, by)).reversal
    later = await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=earlier.contract_number, items=earlier.items
    )
    second = (await voided(backend, later, by)).reversal
    for payment, reversal in ((earlier, first), (later, second)):
        assert await jobs.record_payment(backend.context, payment.id) is None
        await jobs.settle_debt(backend.context, payment.id)
        assert await jobs.report_reversal(backend.context, reversal.id) is None
        assert (await now(reversal)).posting_status is PostingStatus.DONE


async def test_a_payment_that_revenue_refused_needs_no_reversal_there(backend: Backend) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    await payments.set_posting_status(payment.id, PostingStatus.FAILED, backend.clock.at)
    reversal = (await voided(backend, payment, by)).reversal
    since = backend.sandbox.last_request
    assert await jobs.report_reversal(backend.context, reversal.id) is None
    assert posted_paths(backend, since) == []
    assert (await now(reversal)).posting_status is PostingStatus.NONE
