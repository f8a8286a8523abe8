"""Amounts in other notations: whole numbers are read, other texts are held with a case."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mobinet.verify import verify
from resolvers import webhooks
from tests.support.gateways.callers import CALLERS, Caller, Notice, call_of, new_notice, send
from tests.support.gateways.notations import (
    SEPAY,
    VNPAY,
    deliver_unreadable,
    deliver_with_amount,
    hold,
    notice,
    payment,
    quarantine_emptied,
    readable,
    unreadable,
)
from tests.support.gateways.table import case
from tests.support.gateways.webhook_cases import (
    booked,
    each_caller,
    notice_of,
    outcomes,
    retried,
    state,
)
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide
from tests.support.requests.settlement import Desk
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]
__all__ = ["notice", "payment", "quarantine_emptied"]


# ── readable notations ───────────────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@each_caller(CALLERS)
def test_a_whole_number_in_another_notation_pays_the_bill(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice, nth: int
) -> None:
    ways = readable(caller, notice.amount)
    assert deliver_with_amount(api, caller, notice, ways[nth % len(ways)]) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


@case("amount notations")
@each_caller(CALLERS)
def test_the_same_sum_in_two_notations_is_booked_once(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    for amount in readable(caller, notice.amount):
        deliver_with_amount(api, caller, notice, amount)
    send(api, caller, call_of(caller, notice))
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


# ── unreadable amounts ───────────────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@each_caller(CALLERS)
def test_a_sum_that_cannot_be_read_is_held_with_its_text_and_without_a_sum(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice, nth: int
) -> None:
    amount = unreadable(caller, notice.amount)[nth]
    assert deliver_with_amount(api, caller, notice, amount) in {200, 204}
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == []
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("AMOUNT_MISMATCH", None, None)
    assert str(amount) in found["about"]
    assert str(amount) in found["unreadable"]


@case("amount notations")
@each_caller(CALLERS)
def test_a_sum_that_cannot_be_read_is_one_case_however_often_it_is_reported(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    first = hold(api, caller, payment, notice)
    amount = unreadable(caller, notice.amount)[0]
    deliver_with_amount(api, caller, notice, amount)
    again = new_notice(notice.reference, notice.amount, number=notice.number)
    deliver_with_amount(api, caller, again, amount)
    rows = api.rows("select id from money_case where payment = $1", payment["id"])
    assert [row["id"] for row in rows] == [first["id"]]
    assert outcomes(api, notice.reference)[0] == "HANDLED"


@each_caller([SEPAY])
def test_money_that_names_no_payment_becomes_a_case_with_its_text(
    api: Api, caller: Caller, notice: Notice
) -> None:
    stray = new_notice("MB0STRAY000000000001", notice.amount)
    text = deliver_unreadable(api, caller, stray)
    assert outcomes(api, stray.reference) == ["UNMATCHED"]
    tries = "update webhook_event set tries = $1 where reference = $2"
    api.rows(tries, webhooks.MAX_TRIES - 1, stray.reference)
    retried(api)
    (row,) = api.rows("select kind, about from money_case where payment is null")
    assert row["kind"] == "UNMATCHED"
    assert f"FT{stray.number} · {text}" in row["about"]


# ── later notices ────────────────────────────────────────────────────────────────────────────────


@case("amount notations")
@each_caller(CALLERS)
def test_a_later_exact_notice_settles_what_could_not_be_read(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    waiting = hold(api, caller, payment, notice)
    assert send(api, caller, call_of(caller, notice)).status_code in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]
    found = of(api, payment)
    assert found["id"] == waiting["id"]
    assert (found["status"], found["suggestion"]) == ("OPEN", "CLOSE"), "two people close a case"
    assert (found["unreadable"], found["about"]) == (None, waiting["about"])
    decide(api, payment, "CLOSE")


@case("amount notations")
@each_caller(CALLERS)
def test_another_readable_sum_under_the_number_stays_a_case_with_its_money(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    waiting = hold(api, caller, payment, notice)
    less = new_notice(notice.reference, notice.amount - 1, number=notice.number)
    send(api, caller, call_of(caller, less))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == [("suspense", notice.amount - 1)]
    found = of(api, payment)
    assert (found["id"], found["status"], found["unreadable"]) == (waiting["id"], "OPEN", None)
    assert found["amount"] == (None if caller.path == "paypal" else notice.amount - 1)
    send(
        api,
        caller,
        call_of(caller, new_notice(notice.reference, notice.amount, number=notice.number)),
    )
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH"), "two sums contradict"
    decide(api, payment, "REFUND")
    assert state(api, payment) == ("CANCELLED", None)


@each_caller([VNPAY, SEPAY])
def test_an_exact_notice_under_another_number_pays_and_leaves_the_unreadable_as_a_case(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    waiting = hold(api, caller, payment, notice)
    send(api, caller, call_of(caller, notice_of(api, payment)))
    assert state(api, payment) == ("SUCCESS", None)
    found = of(api, payment)
    assert (found["id"], found["suggestion"]) == (waiting["id"], None)
    assert found["unreadable"] == waiting["unreadable"]
    decide(api, payment, "CREDIT", amount=5_000)
    assert books(api, payment)["customer_credit"] == 5_000
    send(api, caller, call_of(caller, notice))
    assert books(api, payment)["customer_credit"] == 5_000, "its number is known by now"
    assert "suspense" not in books(api, payment)


@each_caller([VNPAY, SEPAY])
def test_a_second_payment_that_cannot_be_read_is_decided_by_the_sum_that_people_name(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    send(api, caller, call_of(caller, notice))
    second = notice_of(api, payment)
    deliver_unreadable(api, caller, second)
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("PAID_TWICE", None, None)
    decide(api, payment, "REFUND", amount=7_000)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (7_000, "VND")
    before = books(api, payment)
    send(api, caller, call_of(caller, second))
    assert books(api, payment) == before


# ── settlement, verification and receipt ─────────────────────────────────────────────────────────


def line(caller: Caller, payment: dict[str, Any], notice: Notice, amount: str) -> str:
    number = notice.number if not caller.path.startswith("bank") else f"FT{notice.number}"
    number = f"pi_{number}" if caller.path == "stripe" else number
    currency = "USD" if caller.path == "paypal" else "VND"
    return (
        f"{notice.reference},{number},payment,{amount},{currency},success,{notice.at.isoformat()}"
    )


def holds(api: Api) -> None:
    report: list[str] = []
    valid = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert valid, "\n".join(report)


def receipt(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    (row,) = api.rows("select receipt_token from payment where id = $1", payment["id"])
    headers = {"Accept": "application/json"}
    return api.http.get(f"/pay/{row['receipt_token']}", headers=headers).json()


@pytest.mark.parametrize("way", ["settled by a notice", "settled by the file", "read at once"])
@each_caller(CALLERS)
def test_the_settlement_the_verification_and_the_receipt_agree(
    desk: Desk, caller: Caller, payment: dict[str, Any], notice: Notice, way: str
) -> None:
    api = desk.api
    if way == "read at once":
        dollars = f"{notice.amount // 100}.{notice.amount % 100:02}"
        exact = dollars if caller.path == "paypal" else readable(caller, notice.amount)[0]
        deliver_with_amount(api, caller, notice, exact)
    else:
        hold(api, caller, payment, notice)
    if way == "settled by a notice":
        send(api, caller, call_of(caller, notice))
    before = desk.cases(payment)
    settled = line(caller, payment, notice, f"{notice.amount}.00")
    desk.imports(settled, gateway=payment["gateway"].lower())
    (shown,) = desk.of(payment)
    assert (shown["result"], shown["theirs"], shown["ours"], shown["caseId"]) == (
        "MATCHED", notice.amount, notice.amount, None,
    )  # fmt: skip
    assert desk.cases(payment) == before, "the file opens none"
    assert state(api, payment) == ("SUCCESS", None)
    holds(api)
    record = json.loads(receipt(api, payment)["payload"])
    assert (record["transaction_id"], record["status"], record["amount"]) == (
        payment["id"], "SUCCESS", payment["amount"],
    )  # fmt: skip
