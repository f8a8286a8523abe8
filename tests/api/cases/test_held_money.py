"""VNPay calls about a payment that is held or has ended: the cases and the postings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.gateways.calls import call, ipn, qr, signed, state
from tests.support.requests.cases import SUSPICION, TOO_LATE
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["qr"]


def cases(api: Api, payment: dict[str, Any]) -> list[str]:
    rows = api.rows(
        "select kind from money_case where payment = $1 order by opened_at", payment["id"]
    )
    return [row["kind"] for row in rows]


def postings(api: Api, payment: dict[str, Any]) -> list[tuple[str, int]]:
    rows = api.rows(
        "select credit, amount from posting join entry on entry.id = entry where payment = $1",
        payment["id"],
    )
    return [(row["credit"], row["amount"]) for row in rows]


@pytest.fixture
def held(api: Api, qr: dict[str, Any]) -> dict[str, Any]:
    assert call(api, signed(ipn(qr, **SUSPICION))) == "00"
    assert state(api, qr) == ("PROCESSING", "GATEWAY_SUSPICIOUS")
    assert postings(api, qr) == [], "a suspicion is no money"
    return qr


def test_money_of_a_suspicious_payment_is_booked_once_and_still_waits(
    api: Api, held: dict[str, Any]
) -> None:
    query = signed(ipn(held))
    assert call(api, query) == "00"
    assert call(api, query) == "02"
    assert postings(api, held) == [("suspense", held["amount"])]
    assert state(api, held) == ("PROCESSING", "GATEWAY_SUSPICIOUS")
    assert cases(api, held) == ["SUSPICIOUS"]


def test_ten_calls_at_once_book_the_money_of_a_held_payment_once(
    api: Api, held: dict[str, Any]
) -> None:
    query = signed(ipn(held))
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: call(api, query), range(10))) <= {"00", "02"}
    assert postings(api, held) == [("suspense", held["amount"])]


def test_a_second_payment_of_a_held_reference_is_booked_beside_the_first(
    api: Api, held: dict[str, Any]
) -> None:
    for _ in range(2):
        assert call(api, signed(ipn(held))) == "00"
    assert postings(api, held) == [("suspense", held["amount"])] * 2
    assert cases(api, held) == ["SUSPICIOUS", "PAID_TWICE"]


def test_a_second_payment_whose_amount_is_reported_later_is_booked_then_and_is_one_case(
    api: Api, qr: dict[str, Any]
) -> None:
    assert call(api, signed(ipn(qr))) == "00"
    second = ipn(qr)
    assert call(api, signed(second | {"vnp_Amount": "0"})) == "00"
    assert cases(api, qr) == ["PAID_TWICE"]
    assert postings(api, qr) == [("customer_receivable", qr["amount"])]
    assert call(api, signed(second)) == "00"
    assert postings(api, qr)[1:] == [("suspense", qr["amount"])]
    (case,) = api.rows("select amount from money_case where payment = $1", qr["id"])
    assert case["amount"] == qr["amount"]


def test_the_bill_of_a_held_payment_stays_locked(api: Api, held: dict[str, Any]) -> None:
    assert call(api, signed(ipn(held))) == "00"
    again = api.process_payment(contractNumber=held["contractNumber"], items=held["items"])
    assert [error["code"] for error in again["errors"]] == ["BILL_LOCKED"]


@pytest.fixture
def expired(api: Api, qr: dict[str, Any]) -> dict[str, Any]:
    assert call(api, signed(ipn(qr, **TOO_LATE))) == "00"
    assert state(api, qr) == ("EXPIRED", None)
    return qr


def test_a_suspicion_about_an_ended_payment_is_one_case(api: Api, expired: dict[str, Any]) -> None:
    query = signed(ipn(expired, **SUSPICION))
    assert call(api, query) == "00"
    assert cases(api, expired) == ["SUSPICIOUS"]
    assert call(api, query) == "02"
    assert call(api, signed(ipn(expired, **SUSPICION))) == "02", "under another number"
    assert cases(api, expired) == ["SUSPICIOUS"]
    assert state(api, expired) == ("EXPIRED", None)
    assert postings(api, expired) == []


def test_a_suspicion_about_an_ended_payment_is_audited(api: Api, expired: dict[str, Any]) -> None:
    call(api, signed(ipn(expired, **SUSPICION)))
    rows = api.rows(
        "select from_status, to_status, details ->> 'result' as result from audit_event"
        " where payment_id = $1 order by at",
        expired["id"],
    )
    assert tuple(rows[-1].values()) == ("EXPIRED", "EXPIRED", "SUSPICIOUS")


def test_a_bill_whose_ended_payment_is_suspected_can_still_be_collected(
    api: Api, expired: dict[str, Any]
) -> None:
    call(api, signed(ipn(expired, **SUSPICION)))
    again = api.new_payment(contractNumber=expired["contractNumber"], items=expired["items"])
    assert again["status"] == "SUCCESS"
