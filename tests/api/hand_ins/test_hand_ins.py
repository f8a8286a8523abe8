"""Hand-ins of cash: the collector submits them, and the cashier confirms them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.refusals import NotPermitted
from domain.staff import Actor, Role
from resolvers import hand_ins
from resolvers.context import Context
from tests.support.refusals import both_languages, check_sentence, without_effect
from tests.support.requests.hand_ins import (
    HAND_IN,
    confirm,
    in_hand,
    postings,
    staff_cash,
    submit,
    submitted,
)
from tests.support.running_api import Api, Sandbox, Socket, key

pytest_plugins = ["tests.support.running_api"]

PAGE = (
    f"query ($status: HandInStatus, $staffId: ID, $first: Int, $after: String)"
    f" {{ handIns(status: $status, staffId: $staffId, first: $first, after: $after) {{ edges"
    f" {{ cursor node {{ {HAND_IN} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
)
PAYMENT = "query ($id: ID!) { payment(id: $id) { custody version status } }"


def test_all_the_cash_that_a_collector_holds_is_handed_in_and_nothing_else(api: Api) -> None:
    by = api.collector()
    cash = [api.new_payment(by) for _ in range(3)]
    qr = api.new_payment(by, method="VNPAY_QR")
    total = sum(item["amount"] for item in cash)
    others = api.new_payment(api.collector())

    payload = submit(api, by, total - 5_000, note=" thiếu 5.000 ")

    hand_in = payload["handIn"]
    assert payload["errors"] == []
    assert (hand_in["status"], hand_in["expectedAmount"]) == ("SUBMITTED", total)
    assert (hand_in["countedAmount"], hand_in["declaredAmount"]) == (total - 5_000, total - 5_000)
    assert (hand_in["variance"], hand_in["note"]) == (-5_000, "thiếu 5.000")
    assert hand_in["staff"]["staffId"] == by
    for item in cash:
        now = api.get(PAYMENT, {"id": item["id"]}, token=api.token(by))
        assert (now["custody"], now["status"]) == ("HANDED_IN", "SUCCESS")
        assert now["version"] > item["version"]
    assert api.get(PAYMENT, {"id": qr["id"]}, token=api.token(by))["custody"] is None
    assert others["custody"] == "HELD_BY_STAFF"
    assert in_hand(api, by) == total == staff_cash(api, by)
    assert postings(api, hand_in) == []


def test_a_full_count_moves_the_cash_to_the_bank(api: Api) -> None:
    by = api.collector()
    hand_in = submitted(api, by)
    expected = hand_in["expectedAmount"]

    confirmed = confirm(api, hand_in, expected)["handIn"]

    assert (confirmed["status"], confirmed["variance"]) == ("CONFIRMED", 0)
    assert (confirmed["confirmedBy"], confirmed["confirmedAt"] is None) == ("CA001", False)
    assert postings(api, hand_in) == [("bank", "staff_cash", expected, by)]
    assert in_hand(api, by) == 0 == staff_cash(api, by)
    (row,) = api.rows("select custody from payment where hand_in = $1", hand_in["id"])
    assert row["custody"] == "RECONCILED"
    assert api.rows("select 1 from money_case where hand_in = $1", hand_in["id"]) == []


@pytest.mark.parametrize("differs", [-10_000, 10_000])
def test_a_difference_in_the_count_is_a_variance_and_a_case(api: Api, differs: int) -> None:
    by = api.collector()
    hand_in = submitted(api, by)
    expected = hand_in["expectedAmount"]

    confirmed = confirm(api, hand_in, expected + differs)["handIn"]

    assert (confirmed["countedAmount"], confirmed["variance"]) == (expected + differs, differs)
    assert postings(api, hand_in) == (
        [
            ("bank", "staff_cash", expected - 10_000, by),
            ("variance", "staff_cash", 10_000, by),
        ]
        if differs < 0
        else [("bank", "staff_cash", expected, by), ("bank", "variance", 10_000, by)]
    )
    (case,) = api.rows("select * from money_case where hand_in = $1", hand_in["id"])
    assert (case["kind"], case["status"], case["amount"]) == ("VARIANCE", "OPEN", differs)
    assert in_hand(api, by) == 0 == staff_cash(api, by)


def test_a_count_of_zero_makes_all_of_it_a_variance(api: Api) -> None:
    hand_in = submitted(api, api.collector(), counted=0)
    expected = hand_in["expectedAmount"]
    assert confirm(api, hand_in, 0)["handIn"]["variance"] == -expected
    assert [posting[:3] for posting in postings(api, hand_in)] == [
        ("variance", "staff_cash", expected)
    ]


def test_the_same_key_and_input_is_the_same_hand_in(api: Api, sandbox: Sandbox) -> None:
    by, used = api.collector(), key()
    api.new_payment(by)
    first = submit(api, by, 1, idempotencyKey=used)["handIn"]
    api.new_payment(by)
    with without_effect(api, sandbox, audit=0):
        again = submit(api, by, 1, idempotencyKey=used)
    assert again["handIn"] == first
    confirmed = confirm(api, first, 1)["handIn"]
    assert submit(api, by, 1, idempotencyKey=used)["handIn"] == confirmed


def test_a_second_confirmation_has_the_same_answer(api: Api, sandbox: Sandbox) -> None:
    hand_in = submitted(api, api.collector())
    once = confirm(api, hand_in, hand_in["expectedAmount"])
    with without_effect(api, sandbox, audit=0):
        assert confirm(api, hand_in, hand_in["expectedAmount"]) == once


def test_the_audit_log_of_each_payment_names_its_hand_in(api: Api) -> None:
    by = api.collector()
    hand_in = submitted(api, by)
    confirm(api, hand_in, hand_in["expectedAmount"])
    rows = api.rows(
        "select a.action, a.actor from audit_event a join payment p on p.id = a.payment_id"
        " where p.hand_in = $1 order by a.id",
        hand_in["id"],
    )
    assert [tuple(row) for row in rows][-2:] == [("submitHandIn", by), ("confirmHandIn", "CA001")]


def test_a_hand_in_is_announced_to_its_collector_and_to_watchers_of_its_payments(api: Api) -> None:
    by = api.collector()
    paid = api.new_payment(by)
    with Socket(api, api.token(by)) as limits, Socket(api, api.token("FI001")) as office:
        limits.subscribe("subscription { limitChanged { kind used } }", {})
        seen = [limits.next()["payload"]["data"]["limitChanged"] for _ in range(3)]
        assert {"kind": "CASH_IN_HAND", "used": paid["amount"]} in seen
        office.subscribe(
            "subscription ($by: ID!) { paymentChanged(filter: { staffId: $by }) { custody } }",
            {"by": by},
        )
        office.send(type="ping")
        assert office.next()["type"] == "pong"
        hand_in = submit(api, by, paid["amount"])["handIn"]
        assert office.next()["payload"]["data"] == {"paymentChanged": {"custody": "HANDED_IN"}}
        confirm(api, hand_in, paid["amount"])
        assert office.next()["payload"]["data"] == {"paymentChanged": {"custody": "RECONCILED"}}
        assert limits.next()["payload"]["data"]["limitChanged"] == {
            "kind": "CASH_IN_HAND",
            "used": 0,
        }


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


def test_pages_neither_skip_nor_repeat(api: Api) -> None:
    by = api.collector()
    made = [submitted(api, by)["id"] for _ in range(5)]
    found: list[str] = []
    after: str | None = None
    while True:
        page = api.get(PAGE, {"staffId": by, "first": 2, "after": after}, token=api.token("CA001"))
        found += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        made.append(submitted(api, by)["id"])  # a new hand-in does not shift the pages
        made = made[:5]
    assert found == list(reversed(made))


def test_a_cashier_finds_the_hand_ins_of_each_status(api: Api) -> None:
    by = api.collector()
    counted, waiting = submitted(api, by), submitted(api, by)
    confirm(api, counted, counted["expectedAmount"])
    for status, expected in (("SUBMITTED", waiting), ("CONFIRMED", counted)):
        page = api.get(PAGE, {"status": status, "staffId": by}, token=api.token("CA001"))
        assert [edge["node"]["id"] for edge in page["edges"]] == [expected["id"]]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": 0}, "first"),
        ({"first": 101}, "first"),
        ({"after": "x"}, "after"),
        ({"after": "WyIyMDI2Il0="}, "after"),
    ],
)
def test_an_invalid_page_request_is_refused(api: Api, given: Any, field: str) -> None:
    answer = api.execute(PAGE, given, token=api.token("CA001"))
    (error,) = answer["errors"]
    assert error["extensions"]["code"] in {"INVALID_INPUT", "QUERY_TOO_EXPENSIVE"}
    assert field in error["message"] or given == {"first": 101}


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────

BAD = {
    "nothing held": ({}, "INVALID_INPUT", "countedAmount"),
    "a negative amount": ({"countedAmount": -1}, "INVALID_INPUT", "countedAmount"),
    "more than the maximum": ({"countedAmount": 2**53 - 1}, "INVALID_INPUT", "countedAmount"),
    "a short key": ({"idempotencyKey": "short"}, "INVALID_INPUT", "idempotencyKey"),
    "a long note": ({"note": "x" * 501}, "INVALID_INPUT", "note"),
}


@both_languages
@pytest.mark.parametrize(("but", "code", "field"), BAD.values(), ids=BAD)
def test_an_invalid_hand_in_changes_nothing(
    api: Api, sandbox: Sandbox, but: Any, code: str, field: str, language: str
) -> None:
    by = api.collector()
    api.token(by)
    with without_effect(api, sandbox, audit=1):
        payload = submit(api, by, 100_000, language=language, **but)
    (refused,) = payload["errors"]
    assert (payload["handIn"], refused["code"], refused["field"]) == (None, code, field)
    check_sentence(refused["message"], language)


def test_a_key_of_one_hand_in_cannot_be_used_for_another(api: Api, sandbox: Sandbox) -> None:
    by, used = api.collector(), key()
    api.new_payment(by)
    submit(api, by, 1, idempotencyKey=used)
    api.new_payment(by)
    with without_effect(api, sandbox, audit=1):
        payload = submit(api, by, 2, idempotencyKey=used)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["paymentId"]) == ("IDEMPOTENCY_KEY_REUSED", None)


@both_languages
@pytest.mark.invariant(21)
def test_a_confirmed_hand_in_cannot_be_counted_again(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    hand_in = submitted(api, api.collector())
    confirm(api, hand_in, 5_000)
    with without_effect(api, sandbox, audit=1):
        payload = confirm(api, hand_in, 6_000, language=language)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["handInId"]) == ("TRANSITION_REFUSED", hand_in["id"])
    assert (refused["countedAmount"], refused["confirmedAt"] is None) == (5_000, False)
    check_sentence(refused["message"], language)


@both_languages
@pytest.mark.parametrize(
    ("which", "counted", "code"),
    [("HIN_UNKNOWN", 1, "NOT_FOUND"), ("' or 1=1 --", 1, "NOT_FOUND"), ("", -1, "INVALID_INPUT")],
)
def test_an_unknown_hand_in_cannot_be_confirmed(
    api: Api, sandbox: Sandbox, which: str, counted: int, code: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = confirm(api, which, counted, language=language)
    (refused,) = payload["errors"]
    assert refused["code"] == code
    check_sentence(refused["message"], language)


def test_nobody_counts_their_own_cash_even_once_they_are_a_cashier(
    api: Api, sandbox: Sandbox
) -> None:
    by = api.collector()
    hand_in = submitted(api, by)
    promoted: Context = api.context.for_actor(Actor(id=by, name="Bich", role=Role.CASHIER))
    with without_effect(api, sandbox, audit=1), pytest.raises(NotPermitted):
        api.run(hand_ins.confirm(promoted, hand_in["id"], counted_amount=1))
