"""Hand-ins, confirmations and collections at once: all cash is in exactly one place."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.requests.hand_ins import (
    confirm,
    in_hand,
    postings,
    staff_cash,
    submit,
    submitted,
)
from tests.support.running_api import Api, key

pytest_plugins = ["tests.support.running_api"]


def test_of_ten_hand_ins_at_once_one_contains_the_cash(api: Api) -> None:
    by = api.collector()
    for _ in range(3):
        api.new_payment(by)
    answers = together(api, [lambda: submit(api, by, 1) for _ in range(10)])
    taken = [answer["handIn"] for answer in answers if answer["handIn"]]
    assert len(taken) == 1
    assert {error["code"] for answer in answers for error in answer["errors"]} == {"INVALID_INPUT"}


def test_the_same_key_ten_times_at_once_is_one_hand_in(api: Api) -> None:
    by, used = api.collector(), key()
    api.new_payment(by)
    answers = together(api, [lambda: submit(api, by, 1, idempotencyKey=used) for _ in range(10)])
    assert len({answer["handIn"]["id"] for answer in answers}) == 1


def test_of_ten_counts_at_once_one_is_recorded(api: Api) -> None:
    by = api.collector()
    hand_in = submitted(api, by)
    answers = together(api, [lambda n=n: confirm(api, hand_in, n) for n in range(1, 11)])
    recorded = {answer["handIn"]["countedAmount"] for answer in answers if answer["handIn"]}
    assert len(recorded) == 1
    assert (
        sum(amount for _, credit, amount, _ in postings(api, hand_in) if credit == "staff_cash")
        == hand_in["expectedAmount"]
    )
    assert in_hand(api, by) == 0


def test_cash_collected_during_a_hand_in_is_in_exactly_one_place(api: Api) -> None:
    by = api.collector()
    api.new_payment(by)
    answers = together(
        api,
        [lambda: api.new_payment(by) for _ in range(6)]
        + [lambda: submit(api, by, 1) for _ in range(6)],
    )
    expected = sum(answer["handIn"]["expectedAmount"] for answer in answers if answer.get("handIn"))
    rows = api.rows("select custody, amount, hand_in from payment where staff = $1", by)
    assert sum(row["amount"] for row in rows if row["hand_in"]) == expected
    assert {(row["custody"], row["hand_in"] is None) for row in rows} <= {
        ("HANDED_IN", False),
        ("HELD_BY_STAFF", True),
    }
    assert sum(row["amount"] for row in rows) == in_hand(api, by) == staff_cash(api, by)


def together(api: Api, work: list[Any]) -> list[Any]:
    """Run each function in a thread of its own, at once; return their results."""

    async def run_all() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(item) for item in work))

    return asyncio.run(run_all())
