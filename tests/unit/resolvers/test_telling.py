"""What Revenue and Debt hear of a reversal, in which order, and who waits for it meanwhile."""

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
from tests.unit.resolvers.conftest import House
from tests.unit.resolvers.test_pay_outs import cash, now, voided

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


def heard(house: House, since: int) -> list[str]:
    requests = house.sandbox.requests(since=since)
    return [one["path"] for one in requests if one["method"] == "POST"]


async def test_revenue_and_debt_hear_of_a_void_in_order_once_and_after_the_payment(
    house: House,
) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    since = house.sandbox.last_request
    reversal = (await voided(house, payment, by)).reversal
    assert reversal.told is PostingStatus.PENDING
    assert await jobs.tell_reversal(house.context, reversal.id) is not None, "they know no payment"
    again = await house.pays(by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items)  # fmt: skip
    assert await jobs.record_payment(house.context, again.id) is not None, "it waits its turn"
    await jobs.record_payment(house.context, payment.id)
    await jobs.settle_debt(house.context, payment.id)
    for _ in range(2):
        assert await jobs.tell_reversal(house.context, reversal.id) is None
        assert await to_unsettle(reversal) == 1
    for _ in range(2):
        assert await jobs.unsettle_debt(house.context, reversal.id) is None
    assert await jobs.record_payment(house.context, again.id) is None
    assert heard(house, since) == [
        "/api/payments/record", "/api/debts/settle",
        "/api/payments/reverse", "/api/debts/unsettle", "/api/debts/unsettle",
        "/api/payments/record",
    ]  # fmt: skip
    unsettled = [
        one["reversed"]
        for one in house.sandbox.truth["debts"]
        if one["transaction_id"] == payment.id
    ]
    assert unsettled == [payment.amount], "the second was a repeat"
    assert (await now(reversal)).told is PostingStatus.DONE
    assert (await house.again(again)).posting_status is PostingStatus.DONE


async def to_unsettle(reversal: Reversal) -> int:
    sql = "select count(*) from pgqueuer where entrypoint = 'unsettle_debt' and payload = $1"
    return await engine.fetchval(sql, orjson.dumps({"subject": reversal.id}))


async def test_a_bill_that_is_paid_again_is_recorded_though_debt_does_not_answer(
    house: House,
) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    await jobs.record_payment(house.context, payment.id)
    reversal = (await voided(house, payment, by)).reversal
    assert await jobs.tell_reversal(house.context, reversal.id) is None
    again = await house.pays(by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items)  # fmt: skip
    with house.sandbox.broken("debt", "500"):
        assert await jobs.record_payment(house.context, again.id) is None
        with pytest.raises(UpstreamUnavailable):
            await jobs.unsettle_debt(house.context, reversal.id)
    assert (await house.again(again)).posting_status is PostingStatus.DONE
    with pytest.raises(Rejected):  # it has not heard of the payment yet: that is no case
        await jobs.unsettle_debt(house.context, reversal.id)
    assert await house.cases(payment) == []


async def test_what_debt_does_not_take_back_is_one_case(house: House) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    reversal = (await voided(house, payment, by)).reversal
    await jobs.record_payment(house.context, payment.id)
    await jobs.settle_debt(house.context, payment.id)
    await house.context.debts.unsettle(replace(reversal, id="REV_OF_ANOTHER_SYSTEM"))
    for _ in range(2):
        with pytest.raises(Rejected):
            await jobs.unsettle_debt(house.context, reversal.id)
    assert await house.cases(payment) == ["SETTLEMENT"]


async def test_who_waits_for_a_reversal_that_nobody_tells_looks_less_and_less_often(
    house: House,
) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    await voided(house, payment, by)
    again = await house.pays(by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items)  # fmt: skip
    waits: list[timedelta | None] = []
    for minutes in (0, 4, 60 * 24):
        house.clock.move(minutes=minutes)
        waits.append(await jobs.record_payment(house.context, again.id))
    assert waits == [timedelta(seconds=2), timedelta(minutes=2), timedelta(minutes=10)]


async def test_two_that_were_voided_before_revenue_knew_of_either_do_not_wait_for_each_other(
    house: House,
) -> None:
    by = await house.collector()
    one = await cash(house, by)
    first = (await voided(house, one, by)).reversal
    two = await house.pays(by, PaymentMethod.CASH, contract_number=one.contract_number, items=one.items)  # fmt: skip
    second = (await voided(house, two, by)).reversal
    for payment, reversal in ((one, first), (two, second)):
        assert await jobs.record_payment(house.context, payment.id) is None
        await jobs.settle_debt(house.context, payment.id)
        assert await jobs.tell_reversal(house.context, reversal.id) is None
        assert (await now(reversal)).told is PostingStatus.DONE


async def test_what_revenue_refused_to_record_needs_no_reversal_there(house: House) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    await payments.posting_status(payment.id, PostingStatus.FAILED, house.clock.at)
    reversal = (await voided(house, payment, by)).reversal
    since = house.sandbox.last_request
    assert await jobs.tell_reversal(house.context, reversal.id) is None
    assert heard(house, since) == []
    assert (await now(reversal)).told is PostingStatus.NONE
