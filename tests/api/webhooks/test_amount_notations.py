"""A sum in another notation: read where it is a whole number, and else held with its text until somebody knows it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mobinet.verify import verify
from resolvers import webhooks
from tests.support.gateways.callers import VOICES, Said, Voice, call_of, said, send
from tests.support.gateways.notations import (
    SEPAY,
    VNPAY,
    hold,
    introduced,
    notice,
    payment,
    readable,
    unreadable,
    write,
    write_unreadably,
)
from tests.support.gateways.table import case
from tests.support.gateways.webhook_cases import booked, outcomes, retried, spoken_by, state, word
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide
from tests.support.requests.settlement import Desk
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]
__all__ = ["introduced", "notice", "payment"]


# ── what is that sum all the same ────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@spoken_by(VOICES)
def test_a_whole_number_in_another_notation_pays_the_bill(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said, nth: int
) -> None:
    ways = readable(voice, notice.amount)
    assert write(api, voice, notice, ways[nth % len(ways)]) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


@case("amount notations")
@spoken_by(VOICES)
def test_the_same_sum_in_two_notations_is_booked_once(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    for amount in readable(voice, notice.amount):
        write(api, voice, notice, amount)
    send(api, voice, call_of(voice, notice))
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


# ── what nobody can read ─────────────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@spoken_by(VOICES)
def test_a_sum_that_cannot_be_read_is_held_with_its_text_and_without_a_sum(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said, nth: int
) -> None:
    amount = unreadable(voice, notice.amount)[nth]
    assert write(api, voice, notice, amount) in {200, 204}
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == []
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("AMOUNT_MISMATCH", None, None)
    assert str(amount) in found["about"]
    assert str(amount) in found["unreadable"]


@case("amount notations")
@spoken_by(VOICES)
def test_a_sum_that_cannot_be_read_is_one_case_however_often_it_is_told(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    first = hold(api, voice, payment, notice)
    amount = unreadable(voice, notice.amount)[0]
    write(api, voice, notice, amount)
    again = said(notice.reference, notice.amount, number=notice.number)
    write(api, voice, again, amount)
    rows = api.rows("select id from money_case where payment = $1", payment["id"])
    assert [row["id"] for row in rows] == [first["id"]]
    assert outcomes(api, notice.reference)[0] == "HANDLED"


@spoken_by([SEPAY])
def test_money_that_names_no_payment_is_given_to_people_with_its_text(
    api: Api, voice: Voice, notice: Said
) -> None:
    stray = said("MB0STRAY000000000001", notice.amount)
    text = write_unreadably(api, voice, stray)
    assert outcomes(api, stray.reference) == ["UNMATCHED"]
    tries = "update webhook_event set tries = $1 where reference = $2"
    api.rows(tries, webhooks.MAX_TRIES - 1, stray.reference)
    retried(api)
    (row,) = api.rows("select kind, about from money_case where payment is null")
    assert row["kind"] == "UNMATCHED"
    assert f"FT{stray.number} · {text}" in row["about"]


# ── what is told later ───────────────────────────────────────────────────────────────────────────


@case("amount notations")
@spoken_by(VOICES)
def test_a_later_exact_notice_settles_what_could_not_be_read(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    waiting = hold(api, voice, payment, notice)
    assert send(api, voice, call_of(voice, notice)).status_code in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]
    found = of(api, payment)
    assert found["id"] == waiting["id"]
    assert (found["status"], found["suggestion"]) == ("OPEN", "CLOSE"), "two people close a case"
    assert (found["unreadable"], found["about"]) == (None, waiting["about"])
    decide(api, payment, "CLOSE")


@case("amount notations")
@spoken_by(VOICES)
def test_another_readable_sum_under_the_number_stays_a_case_with_its_money(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    waiting = hold(api, voice, payment, notice)
    less = said(notice.reference, notice.amount - 1, number=notice.number)
    send(api, voice, call_of(voice, less))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == [("suspense", notice.amount - 1)]
    found = of(api, payment)
    assert (found["id"], found["status"], found["unreadable"]) == (waiting["id"], "OPEN", None)
    assert found["amount"] == (None if voice.path == "paypal" else notice.amount - 1)
    send(api, voice, call_of(voice, said(notice.reference, notice.amount, number=notice.number)))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH"), "two sums contradict"
    decide(api, payment, "REFUND")
    assert state(api, payment) == ("CANCELLED", None)


@spoken_by([VNPAY, SEPAY])
def test_an_exact_notice_under_another_number_pays_and_leaves_the_unreadable_to_people(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    waiting = hold(api, voice, payment, notice)
    send(api, voice, call_of(voice, word(api, payment)))
    assert state(api, payment) == ("SUCCESS", None)
    found = of(api, payment)
    assert (found["id"], found["suggestion"]) == (waiting["id"], None)
    assert found["unreadable"] == waiting["unreadable"]
    decide(api, payment, "CREDIT", amount=5_000)
    assert books(api, payment)["customer_credit"] == 5_000
    send(api, voice, call_of(voice, notice))
    assert books(api, payment)["customer_credit"] == 5_000, "its number is known by now"
    assert "suspense" not in books(api, payment)


@spoken_by([VNPAY, SEPAY])
def test_a_second_payment_that_cannot_be_read_is_decided_by_the_sum_that_people_name(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    send(api, voice, call_of(voice, notice))
    second = word(api, payment)
    write_unreadably(api, voice, second)
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("PAID_TWICE", None, None)
    decide(api, payment, "REFUND", amount=7_000)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (7_000, "VND")
    before = books(api, payment)
    send(api, voice, call_of(voice, second))
    assert books(api, payment) == before


# ── a settlement run, the proof and the receipt agree ────────────────────────────────────────────


def line(voice: Voice, payment: dict[str, Any], notice: Said, amount: str) -> str:
    number = notice.number if not voice.path.startswith("bank") else f"FT{notice.number}"
    number = f"pi_{number}" if voice.path == "stripe" else number
    currency = "USD" if voice.path == "paypal" else "VND"
    return (
        f"{notice.reference},{number},payment,{amount},{currency},success,{notice.at.isoformat()}"
    )


def holds(api: Api) -> None:
    heard: list[str] = []
    sound = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=heard.append)
    )
    assert sound, "\n".join(heard)


def receipt(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    (row,) = api.rows("select receipt_token from payment where id = $1", payment["id"])
    headers = {"Accept": "application/json"}
    return api.http.get(f"/pay/{row['receipt_token']}", headers=headers).json()


@pytest.mark.parametrize("way", ["settled by a notice", "settled by the file", "read at once"])
@spoken_by(VOICES)
def test_the_settlement_the_proof_and_the_receipt_agree(
    desk: Desk, voice: Voice, payment: dict[str, Any], notice: Said, way: str
) -> None:
    api = desk.api
    if way == "read at once":
        dollars = f"{notice.amount // 100}.{notice.amount % 100:02}"
        exact = dollars if voice.path == "paypal" else readable(voice, notice.amount)[0]
        write(api, voice, notice, exact)
    else:
        hold(api, voice, payment, notice)
    if way == "settled by a notice":
        send(api, voice, call_of(voice, notice))
    before = desk.cases(payment)
    settled = line(voice, payment, notice, f"{notice.amount}.00")
    desk.imports(settled, gateway=payment["gateway"].lower())
    (mine,) = desk.of(payment)
    assert (mine["result"], mine["theirs"], mine["ours"], mine["caseId"]) == (
        "MATCHED", notice.amount, notice.amount, None,
    )  # fmt: skip
    assert desk.cases(payment) == before, "the file opens none"
    assert state(api, payment) == ("SUCCESS", None)
    holds(api)
    sworn = json.loads(receipt(api, payment)["payload"])
    assert (sworn["transaction_id"], sworn["status"], sworn["amount"]) == (
        payment["id"], "SUCCESS", payment["amount"],
    )  # fmt: skip
