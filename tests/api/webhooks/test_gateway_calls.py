"""Calls of every gateway: genuine, repeated, out of order, early, forged or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.methods import GatewayName
from tests.support.gateways.callers import (
    CALLERS,
    Caller,
    Notice,
    call_of,
    changed,
    new_notice,
    send,
)
from tests.support.gateways.table import case, without_hole
from tests.support.gateways.webhook_cases import (
    UNKNOWN_REFERENCE,
    booked,
    each_caller,
    notice_of,
    outcomes,
    quarantine_emptied,
    retried,
    state,
)
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["quarantine_emptied"]

REPORT_FAILURES = without_hole("decline", CALLERS)
SIGN_THE_TIME = without_hole("replayed", CALLERS)
MAY_BE_SHARED = [caller for caller in CALLERS if caller.path in {"momo", "stripe", "paypal"}]
NAME_A_CURRENCY = without_hole("wrong currency", CALLERS)


@pytest.fixture
def all_shared(api: Api) -> Iterator[None]:
    """Mark every account as shared with other programs."""
    alone = api.context
    terms = replace(alone.terms, shared=frozenset(GatewayName))
    api.app.state.context = replace(alone, terms=terms)
    yield
    api.app.state.context = alone


@pytest.fixture
def payment(api: Api, caller: Caller) -> dict[str, Any]:
    return api.new_payment(method=caller.method)


def deliver(api: Api, caller: Caller, notice: Notice) -> int:
    return send(api, caller, call_of(caller, notice)).status_code


@case("success")
@each_caller(CALLERS)
def test_money_that_came_pays_the_bill(api: Api, caller: Caller, payment: dict[str, Any]) -> None:
    assert deliver(api, caller, notice_of(api, payment)) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


@case("decline")
@each_caller(REPORT_FAILURES)
def test_a_decline_fails_the_payment_and_books_nothing(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    assert deliver(api, caller, notice_of(api, payment, "declined")) in {200, 204}
    assert state(api, payment) == ("FAILED", None)
    assert booked(api, payment) == []


@case("duplicate")
@each_caller(CALLERS)
def test_one_event_reported_three_times_is_booked_once(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    call = call_of(caller, notice_of(api, payment))
    assert {send(api, caller, call).status_code for _ in range(3)} <= {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert len(booked(api, payment)) == 1
    rows = api.rows(
        "select deliveries from webhook_event where reference = $1", payment["gatewayReference"]
    )
    assert [row["deliveries"] for row in rows] == [3]


@case("out of order")
@each_caller(REPORT_FAILURES)
def test_a_failure_after_a_success_is_stale(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    notice = notice_of(api, payment)
    assert deliver(api, caller, notice) in {200, 204}
    assert deliver(api, caller, replace(notice, outcome="declined")) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert outcomes(api, payment["gatewayReference"]) == ["HANDLED", "STALE"]


@case("before init")
@each_caller(CALLERS)
def test_a_call_before_our_own_write_is_retried_after_it(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    notice = notice_of(api, payment)
    early = replace(notice, reference=early_reference(CALLERS.index(caller)))
    deliver(api, caller, early)
    assert state(api, payment) == ("PROCESSING", None)
    api.rows(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) select $1, payment, gateway, status, amount, currency,"
        " created_at + interval '1 second', expires_at, 0 from attempt where payment = $2",
        early.reference,
        payment["id"],
    )
    retried(api)
    assert state(api, payment) == ("SUCCESS", None)


@case("forged")
@each_caller(CALLERS)
def test_a_call_that_was_changed_on_the_way_changes_nothing(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    notice = notice_of(api, payment)
    before = api.dump()
    true = call_of(caller, replace(notice, reference=UNKNOWN_REFERENCE))
    send(api, caller, changed(true, UNKNOWN_REFERENCE, notice.reference))
    send(api, caller, changed(call_of(caller, notice), str(notice.number), str(notice.number + 1)))
    assert different(before, api.dump()) == {"webhook_event"}
    rows = api.rows("select outcome from webhook_event order by received_at desc limit 2")
    assert [row["outcome"] for row in rows] == ["BAD_SIGNATURE"] * 2


@case("replayed")
@each_caller(SIGN_THE_TIME)
def test_a_genuine_call_of_another_day_is_refused(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    notice = notice_of(api, payment)
    before = api.dump()
    for days in (-4, 1):
        moment = datetime.now(UTC) + timedelta(days=days)
        assert deliver(api, caller, replace(notice, at=moment)) in {400, 401}
    assert different(before, api.dump()) == {"webhook_event"}


@case("wrong amount")
@each_caller(CALLERS)
def test_too_little_is_held_for_people_and_pays_nothing(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    notice = notice_of(api, payment)
    deliver(api, caller, replace(notice, amount=notice.amount - 1))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert "customer_receivable" not in dict(booked(api, payment))


@case("wrong currency")
@each_caller(NAME_A_CURRENCY)
def test_another_currency_is_held_for_people_and_pays_nothing(
    api: Api, caller: Caller, payment: dict[str, Any]
) -> None:
    deliver(api, caller, notice_of(api, payment, currency="EUR"))
    assert state(api, payment) == ("PROCESSING", "CURRENCY_MISMATCH")
    assert booked(api, payment) == []


@case("unknown reference")
@each_caller(CALLERS)
def test_a_call_with_an_unknown_reference_is_stored_and_changes_nothing(
    api: Api, caller: Caller
) -> None:
    before = api.dump()
    notice = new_notice(UNKNOWN_REFERENCE, 200_000)
    send(api, caller, call_of(caller, notice))
    assert different(before, api.dump()) == {"webhook_event"}
    rows = api.rows("select outcome from webhook_event order by received_at desc limit 1")
    assert [row["outcome"] for row in rows] == ["UNMATCHED"]


@case("foreign reference")
@each_caller(CALLERS)
def test_a_foreign_reference_is_unmatched_where_the_account_is_ours_alone(
    api: Api, caller: Caller
) -> None:
    before = api.dump()
    assert newest_outcome(api, caller, new_notice("ORDER-778", 200_000)) == "UNMATCHED"
    assert different(before, api.dump()) == {"webhook_event"}


@case("foreign reference")
@each_caller(MAY_BE_SHARED)
def test_a_foreign_reference_is_foreign_where_the_account_is_shared(
    api: Api, caller: Caller, all_shared: None
) -> None:
    before = api.dump()
    for outcome in ("paid", "declined"):
        notice = new_notice("ORDER-778", 200_000, outcome)
        assert deliver(api, caller, notice) in {200, 204}
        assert (
            newest_outcome(api, caller, replace(notice, number=notice.number + 10**6)) == "FOREIGN"
        )
    assert newest_outcome(api, caller, new_notice(UNKNOWN_REFERENCE, 200_000)) == "UNMATCHED"
    assert different(before, api.dump()) == {"webhook_event"}


def newest_outcome(api: Api, caller: Caller, notice: Notice) -> str:
    deliver(api, caller, notice)
    (row,) = api.rows("select outcome from webhook_event order by received_at desc limit 1")
    return row["outcome"]


def early_reference(number: int) -> str:
    return f"MB0EAR0Y{number:012}"


def different(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in after if before[name] != after[name]}
