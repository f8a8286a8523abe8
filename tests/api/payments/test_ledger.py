"""The trial balance, and the day close of a collector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.calendar import business_date, day_end
from tests.support.requests.hand_ins import confirm, in_hand, submit
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

TRIAL = "query ($at: DateTime) { trialBalance(at: $at) { account currency debit credit balance } }"
CLOSE = (
    "query ($by: ID!, $day: Date!) { dayClose(staffId: $by, date: $day)"
    " { collected voided handedIn cashInHand byMethod { method count amount } } }"
)


def trial_balance(api: Api, at: datetime | None = None) -> dict[str, tuple[int, int, int]]:
    given = {"at": at.isoformat() if at else None}
    found = api.get(TRIAL, given, token=api.token("FI001"))
    assert sum(item["debit"] for item in found) == sum(item["credit"] for item in found)
    assert all(item["balance"] == item["debit"] - item["credit"] for item in found)
    return {item["account"]: (item["debit"], item["credit"], item["balance"]) for item in found}


def now(api: Api) -> datetime:
    return api.run(api.context.clock())


def day_close(api: Api, by: str, moment: datetime | None = None) -> Any:
    day = business_date(moment or now(api)).isoformat()
    return api.get(CLOSE, {"by": by, "day": day}, token=api.token("CA001"))


def test_a_trial_balance_shows_each_account_and_equal_sides(api: Api) -> None:
    before = trial_balance(api)
    by = api.collector()
    paid = api.new_payment(by)
    held = trial_balance(api)
    hand_in = submit(api, by, paid["amount"])["handIn"]
    confirm(api, hand_in, paid["amount"] - 1_000)
    after = trial_balance(api)

    def moved(account: str, to: Any, since: Any) -> tuple[int, ...]:
        nothing = (0, 0, 0)
        pairs = zip(to.get(account, nothing), since.get(account, nothing), strict=True)
        return tuple(item - other for item, other in pairs)

    amount = paid["amount"]
    assert moved("staff_cash", held, before) == (amount, 0, amount)
    assert moved("customer_receivable", held, before) == (0, amount, -amount)
    assert moved("staff_cash", after, held) == (0, amount, -amount)
    assert moved("bank", after, held) == (amount - 1_000, 0, amount - 1_000)
    assert moved("variance", after, held) == (1_000, 0, 1_000)


def test_a_trial_balance_of_a_time_excludes_later_postings(api: Api) -> None:
    api.new_payment(api.collector())
    then = now(api)
    seen = trial_balance(api, then)
    api.new_payment(api.collector())
    assert trial_balance(api, then) == seen != trial_balance(api)
    assert trial_balance(api, datetime(2000, 1, 1, tzinfo=UTC)) == {}


def test_a_day_close_shows_the_cash_collected_handed_in_and_in_hand(api: Api) -> None:
    by = api.collector()
    cash = [api.new_payment(by) for _ in range(3)]
    api.new_payment(by, method="VNPAY_QR")  # an open QR has collected nothing
    total = sum(item["amount"] for item in cash)
    hand_in = submit(api, by, total - 7_000)["handIn"]
    again = api.new_payment(by)

    close = day_close(api, by)

    assert close["collected"] == total + again["amount"]
    assert close["byMethod"] == [{"method": "CASH", "count": 4, "amount": total + again["amount"]}]
    assert (close["voided"], close["handedIn"]) == (0, total - 7_000)
    assert close["cashInHand"] == total + again["amount"] == in_hand(api, by)
    confirm(api, hand_in, total - 5_000)
    close = day_close(api, by)
    assert close["handedIn"] == total - 5_000
    assert close["cashInHand"] == again["amount"] == in_hand(api, by)


def test_a_day_without_payments_shows_only_the_cash_in_hand(api: Api) -> None:
    by = api.collector()
    paid = api.new_payment(by)
    today = now(api)
    yesterday = day_close(api, by, today - timedelta(days=1))
    assert yesterday == {
        "collected": 0,
        "voided": 0,
        "handedIn": 0,
        "cashInHand": 0,
        "byMethod": [],
    }
    tomorrow = day_close(api, by, today + timedelta(days=1))
    assert (tomorrow["collected"], tomorrow["cashInHand"]) == (0, paid["amount"])


def test_a_payment_closes_with_the_vietnamese_day_on_which_it_was_made(api: Api) -> None:
    by = api.collector()
    paid = api.new_payment(by)
    midnight = day_end(business_date(now(api)))
    api.rows(  # its time is now the last second of yesterday
        "with off as (select set_config('session_replication_role', 'replica', true))"
        " update payment set created_at = $2, business_date = $3 from off where id = $1",
        paid["id"],
        midnight - timedelta(days=1, seconds=1),
        business_date(midnight - timedelta(days=1, seconds=1)),
    )
    assert day_close(api, by)["collected"] == 0
    assert (
        day_close(api, by, midnight - timedelta(days=1, seconds=1))["collected"] == paid["amount"]
    )


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_day_outside_of_the_calendar_is_refused(api: Api, day: str) -> None:
    answer = api.execute(CLOSE, {"by": "NV002", "day": day}, token=api.token("CA001"))
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
