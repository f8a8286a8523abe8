"""What a call of any gateway does to the whole API: true, repeated, out of turn, too early, false or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.methods import GatewayName
from tests.support.gateways.callers import (
    VOICES,
    Said,
    Voice,
    call_of,
    changed,
    said,
    send,
)
from tests.support.gateways.table import case
from tests.support.gateways.webhook_cases import (
    STRANGE,
    booked,
    introduced,
    outcomes,
    retried,
    spoken_by,
    state,
    word,
)
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["introduced"]

TELL_OF_FAILURE = [voice for voice in VOICES if not voice.path.startswith("bank")]
SIGN_THE_TIME = [voice for voice in VOICES if voice.path not in {"vnpay", "momo"}]
MAY_BE_SHARED = [voice for voice in VOICES if voice.path in {"momo", "stripe", "paypal"}]
NAME_A_CURRENCY = [voice for voice in VOICES if voice.path in {"fpt-pay", "stripe", "paypal"}]


@pytest.fixture
def all_shared(api: Api) -> Iterator[None]:
    """Other programs use every account that we have."""
    alone = api.context
    terms = replace(alone.terms, shared=frozenset(GatewayName))
    api.app.state.context = replace(alone, terms=terms)
    yield
    api.app.state.context = alone


@pytest.fixture
def payment(api: Api, voice: Voice) -> dict[str, Any]:
    return api.paid(method=voice.method)


def tell(api: Api, voice: Voice, told: Said) -> int:
    return send(api, voice, call_of(voice, told)).status_code


@case("success")
@spoken_by(VOICES)
def test_money_that_came_pays_the_bill(api: Api, voice: Voice, payment: dict[str, Any]) -> None:
    assert tell(api, voice, word(api, payment)) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


@case("decline")
@spoken_by(TELL_OF_FAILURE)
def test_a_decline_fails_the_payment_and_books_nothing(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    assert tell(api, voice, word(api, payment, "declined")) in {200, 204}
    assert state(api, payment) == ("FAILED", None)
    assert booked(api, payment) == []


@case("duplicate")
@spoken_by(VOICES)
def test_one_event_told_three_times_is_booked_once(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    call = call_of(voice, word(api, payment))
    assert {send(api, voice, call).status_code for _ in range(3)} <= {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert len(booked(api, payment)) == 1
    rows = api.rows(
        "select deliveries from webhook_event where reference = $1", payment["gatewayReference"]
    )
    assert [row["deliveries"] for row in rows] == [3]


@case("out of order")
@spoken_by(TELL_OF_FAILURE)
def test_a_failure_that_comes_after_the_money_is_old_news(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    told = word(api, payment)
    assert tell(api, voice, told) in {200, 204}
    assert tell(api, voice, replace(told, outcome="declined")) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert outcomes(api, payment["gatewayReference"]) == ["HANDLED", "STALE"]


@case("before init")
@spoken_by(VOICES)
def test_a_call_that_is_quicker_than_our_own_write_waits_for_it(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    told = word(api, payment)
    early = replace(told, reference=early_reference(VOICES.index(voice)))
    tell(api, voice, early)
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
@spoken_by(VOICES)
def test_a_call_that_was_changed_on_the_way_touches_nothing(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    told = word(api, payment)
    before = api.dump()
    true = call_of(voice, replace(told, reference=STRANGE))
    send(api, voice, changed(true, STRANGE, told.reference))
    send(api, voice, changed(call_of(voice, told), str(told.number), str(told.number + 1)))
    assert different(before, api.dump()) == {"webhook_event"}
    rows = api.rows("select outcome from webhook_event order by received_at desc limit 2")
    assert [row["outcome"] for row in rows] == ["BAD_SIGNATURE"] * 2


@case("replayed")
@spoken_by(SIGN_THE_TIME)
def test_a_true_call_of_another_day_is_not_believed(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    told = word(api, payment)
    before = api.dump()
    for days in (-4, 1):
        moment = datetime.now(UTC) + timedelta(days=days)
        assert tell(api, voice, replace(told, at=moment)) in {400, 401}
    assert different(before, api.dump()) == {"webhook_event"}


@case("wrong amount")
@spoken_by(VOICES)
def test_too_little_is_held_for_people_and_pays_nothing(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    told = word(api, payment)
    tell(api, voice, replace(told, amount=told.amount - 1))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert "customer_receivable" not in dict(booked(api, payment))


@case("wrong currency")
@spoken_by(NAME_A_CURRENCY)
def test_another_currency_is_held_for_people_and_pays_nothing(
    api: Api, voice: Voice, payment: dict[str, Any]
) -> None:
    tell(api, voice, word(api, payment, currency="EUR"))
    assert state(api, payment) == ("PROCESSING", "CURRENCY_MISMATCH")
    assert booked(api, payment) == []


@case("unknown reference")
@spoken_by(VOICES)
def test_a_call_about_nothing_of_ours_is_kept_and_touches_nothing(api: Api, voice: Voice) -> None:
    before = api.dump()
    told = said(STRANGE, 200_000)
    send(api, voice, call_of(voice, told))
    assert different(before, api.dump()) == {"webhook_event"}
    rows = api.rows("select outcome from webhook_event order by received_at desc limit 1")
    assert [row["outcome"] for row in rows] == ["UNMATCHED"]


@case("foreign reference")
@spoken_by(VOICES)
def test_a_name_that_we_never_gave_out_is_unknown_where_the_account_is_ours_alone(
    api: Api, voice: Voice
) -> None:
    before = api.dump()
    assert newest_outcome(api, voice, said("ORDER-778", 200_000)) == "UNMATCHED"
    assert different(before, api.dump()) == {"webhook_event"}


@case("foreign reference")
@spoken_by(MAY_BE_SHARED)
def test_a_name_that_we_never_gave_out_is_another_programs_where_it_shares_the_account(
    api: Api, voice: Voice, all_shared: None
) -> None:
    before = api.dump()
    for outcome in ("paid", "declined"):
        told = said("ORDER-778", 200_000, outcome)
        assert tell(api, voice, told) in {200, 204}
        assert newest_outcome(api, voice, replace(told, number=told.number + 10**6)) == "FOREIGN"
    assert newest_outcome(api, voice, said(STRANGE, 200_000)) == "UNMATCHED"
    assert different(before, api.dump()) == {"webhook_event"}


def newest_outcome(api: Api, voice: Voice, told: Said) -> str:
    tell(api, voice, told)
    (row,) = api.rows("select outcome from webhook_event order by received_at desc limit 1")
    return row["outcome"]


def early_reference(number: int) -> str:
    return f"MB0EAR0Y{number:012}"


def different(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in after if before[name] != after[name]}
