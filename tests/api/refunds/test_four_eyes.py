"""Decisions by two people: which votes count, what is audited, and votes at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.support.clocks import SetClock
from tests.support.gateways.calls import call, ipn, signed, state
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, is_free, refunds, refused, vote
from tests.support.requests.held_payments import paid_little, suspected, suspected_and_paid
from tests.support.requests.orders import created, merchant_token, paying
from tests.support.requests.reversals import HISTORY, by_gateway, handed_in, look, refund, void
from tests.support.running_api import Api, Sandbox, until

pytest_plugins = ["tests.support.running_api"]
Payment = dict[str, Any]


def audited(api: Api, case: dict[str, Any]) -> list[tuple[str, str | None, list[str]]]:
    rows = api.rows(
        "select actor, evidence, details::text from audit_event"
        " where action = 'resolveCase' and outcome = 'DONE' and details ->> 'case' = $1"
        " order by id",
        case["id"],
    )
    return [
        (
            row["actor"],
            row["evidence"],
            [approval["actor"] for approval in orjson.loads(row["details"])["approvals"]],
        )
        for row in rows
    ]


# ── which votes count ────────────────────────────────────────────────────────────────────────────


def test_one_person_alone_moves_nothing_however_often_they_vote(api: Api, sandbox: Sandbox) -> None:
    payment = paid_little(api, sandbox)
    before = (state(api, payment), books(api, payment))
    case = of(api, payment)
    first = vote(api, case, "CREDIT")["case"]
    assert (first["status"], len(first["approvals"])) == ("AWAITING_SECOND", 1)
    with without_effect(api, sandbox, audit=0):
        again = vote(api, case, "CREDIT")
    assert again["case"]["approvals"] == first["approvals"]
    assert (state(api, payment), books(api, payment)) == before


def test_the_first_person_may_change_their_decision_and_the_last_vote_counts(
    api: Api, sandbox: Sandbox
) -> None:
    payment = paid_little(api, sandbox)
    case = of(api, payment)
    for decision in ("CREDIT", "REFUND", "CREDIT"):
        assert vote(api, case, decision)["case"]["decision"] == decision
    assert vote(api, case, "CREDIT", "FI002")["case"]["status"] == "RESOLVED"
    assert "customer_credit" in books(api, payment)


@both_languages
def test_a_second_person_who_disagrees_learns_what_the_first_decided(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    case = of(api, paid_little(api, sandbox))
    vote(api, case, "CREDIT")
    api.token("FI002")
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "REFUND", "FI002", language=language)
    refusal = refused(payload, "INVALID_INPUT", language)
    assert refusal["field"] == "decision"
    assert "FI001" in refusal["message"]
    assert "CREDIT" in refusal["message"]


@contextmanager
def a_day_later(api: Api) -> Iterator[None]:
    """Set the API's clock a day ahead; staff log in again."""
    today = api.context

    async def tomorrow() -> datetime:
        return await today.clock() + timedelta(days=1)

    api.app.state.context = replace(today, clock=SetClock(tomorrow))
    api._tokens.clear()
    yield
    api.app.state.context = today
    api._tokens.clear()


def test_another_person_may_start_anew_a_day_later(api: Api, sandbox: Sandbox) -> None:
    payment = paid_little(api, sandbox)
    case = of(api, payment)
    vote(api, case, "CREDIT")
    with a_day_later(api):
        anew = vote(api, case, "REFUND", "FI002")["case"]
        assert (anew["status"], anew["decision"]) == ("AWAITING_SECOND", "REFUND")
        again = refused(vote(api, case, "CREDIT"), "INVALID_INPUT")
        assert "FI002" in again["message"]
        assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
        resolved = vote(api, case, "REFUND")["case"]
    assert resolved["status"] == "RESOLVED"
    (row,) = api.rows(
        "select requested_by, approved_by from reversal where payment = $1", payment["id"]
    )
    assert tuple(row) == ("FI002", "FI001")
    assert audited(api, case)[-1] == ("FI001", "FOUR_EYES", ["FI001", "FI002", "FI001"])


@both_languages
def test_a_resolved_case_repeats_its_answer_and_refuses_another_decision(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    payment = paid_little(api, sandbox)
    case = decide(api, payment, "CREDIT")
    with without_effect(api, sandbox, audit=0):
        for by in ("FI001", "FI002"):
            again = vote(api, case, "CREDIT", by)["case"]
            assert again["status"] == "RESOLVED"
            assert again["resolvedAt"] == case["resolvedAt"]
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "REFUND", language=language)
    assert "CREDIT" in refused(payload, "TRANSITION_REFUSED", language)["message"]


@pytest.mark.parametrize("reason", ["", "  ", "ok", "x" * 201, "two\nlines"])
def test_a_decision_needs_a_reason(api: Api, sandbox: Sandbox, reason: str) -> None:
    case = of(api, paid_little(api, sandbox))
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "CREDIT", reason=reason)
    assert refused(payload, "INVALID_INPUT")["field"] == "reason"


@pytest.mark.parametrize("unknown", ["CASE_UNKNOWN", "", "' or 1=1 --", "🧾" * 50])
def test_a_case_that_does_not_exist_is_not_found(api: Api, sandbox: Sandbox, unknown: str) -> None:
    api.token("FI001")
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, {"id": unknown}, "CLOSE")
    refused(payload, "NOT_FOUND")


def test_each_vote_is_audited_and_the_second_is_evidence_of_both(
    api: Api, sandbox: Sandbox
) -> None:
    payment = paid_little(api, sandbox)
    case = decide(api, payment, "CREDIT")
    assert audited(api, case) == [
        ("FI001", None, ["FI001"]),
        ("FI002", "FOUR_EYES", ["FI001", "FI002"]),
    ]
    (moved,) = api.rows(
        "select evidence, source, from_status, to_status, actor from audit_event"
        " where action = 'apply' and payment_id = $1 and evidence = 'FOUR_EYES'",
        payment["id"],
    )
    assert tuple(moved) == ("FOUR_EYES", f"case:{case['id']}", "PROCESSING", "CANCELLED", "FI002")


# ── at once ──────────────────────────────────────────────────────────────────────────────────────


def test_several_second_votes_at_once_resolve_the_case_once(api: Api, sandbox: Sandbox) -> None:
    payment = suspected_and_paid(api, sandbox)
    case = of(api, payment)
    vote(api, case, "CREDIT")
    api.token("FI002")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: vote(api, case, "CREDIT", "FI002"), range(8)))
    assert {answer["case"]["status"] for answer in answers} == {"RESOLVED"}
    assert books(api, payment)["customer_credit"] == payment["amount"]
    assert len(audited(api, case)) == 2


def test_two_first_votes_at_once_resolve_the_case(api: Api, sandbox: Sandbox) -> None:
    payment = suspected_and_paid(api, sandbox)
    case = of(api, payment)
    people = ["FI001", "FI002"]
    for item in people:
        api.token(item)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda by: vote(api, case, "APPLY", by), people))
    assert sorted(answer["case"]["status"] for answer in answers) == ["AWAITING_SECOND", "RESOLVED"]
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_receivable"] == payment["amount"]


@pytest.mark.parametrize("decision", ["APPLY", "CLOSE"])
def test_a_webhook_that_races_a_decision_books_its_money_once_and_nothing_is_lost(
    api: Api, sandbox: Sandbox, decision: str
) -> None:
    """The second of the two sees the effect of the first, and all money has an account."""
    payment = suspected(api, sandbox)
    case = of(api, payment)
    vote(api, case, decision)
    api.token("FI002")
    query = signed(ipn(payment))
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, api, query) for _ in range(3)]
        second_vote = pool.submit(vote, api, case, decision, "FI002")
        assert {item.result() for item in calls} <= {"00", "02"}
        payload = second_vote.result()
    held = books(api, payment)
    if decision == "APPLY":
        assert payload["errors"] == []
        assert state(api, payment) == ("SUCCESS", None)
        assert held["customer_receivable"] == payment["amount"]
    elif payload["errors"]:
        refused(payload, "TRANSITION_REFUSED")
        assert held["suspense"] == payment["amount"]
    else:
        assert state(api, payment)[0] == "CANCELLED"
        (claim,) = api.rows("select claimed_at from attempt where payment = $1", payment["id"])
        assert claim["claimed_at"] is not None, "an inquiry follows"


# ── reversals above the limit ────────────────────────────────────────────────────────────────────


@pytest.fixture
def above_everything(api: Api) -> Iterator[None]:
    """Set the limit to zero, so that every reversal needs two people."""
    before = api.context
    terms = replace(before.terms, four_eyes_above=0)
    api.app.state.context = replace(before, terms=terms)
    yield
    api.app.state.context = before


@pytest.mark.usefixtures("above_everything")
def test_a_void_above_the_limit_waits_for_the_second_person(api: Api) -> None:
    paid = api.new_payment("NV002")
    reversal = void(api, paid, "NV002")["reversal"]
    assert reversal["status"] == "AWAITING_APPROVAL"
    case = of(api, paid)
    assert (case["kind"], case["status"], case["decision"]) == (
        "APPROVAL",
        "AWAITING_SECOND",
        "APPLY",
    )
    assert case["reversalId"] == reversal["id"]
    resolved = vote(api, case, "APPLY")["case"]
    assert (resolved["status"], len(resolved["approvals"])) == ("RESOLVED", 2)
    (row,) = api.rows("select status, approved_by from reversal where id = $1", reversal["id"])
    assert tuple(row) == ("DONE", "FI001")
    assert "customer_receivable" not in books(api, paid)
    assert is_free(api, paid)


@pytest.mark.usefixtures("above_everything")
def test_a_refund_that_the_second_person_rejects_has_no_effect(api: Api, sandbox: Sandbox) -> None:
    paid = by_gateway(api, sandbox)
    reversal = refund(api, paid)["reversal"]
    rejected = vote(api, of(api, paid), "CLOSE", "FI002")["case"]
    assert (rejected["status"], rejected["decision"]) == ("RESOLVED", "CLOSE")
    (row,) = api.rows("select status from reversal where id = $1", reversal["id"])
    assert row["status"] == "FAILED"
    assert books(api, paid)["customer_receivable"] == paid["amount"]
    assert refunds(api, sandbox, paid) == []


def test_a_refund_in_parts_cannot_avoid_the_second_person(api: Api, sandbox: Sandbox) -> None:
    shop = merchant_token(api)
    order = created(api, shop, amount=12_000_000)["order"]
    paid = paying(api, shop, order)["payment"]
    sandbox.pay(reference=paid["gatewayReference"])
    until(lambda: look(api, paid)["status"] == "SUCCESS", why="the webhook did not pay it")
    parts = [refund(api, paid, 2_500_000)["reversal"]["status"] for _ in range(3)]
    assert parts == ["DONE", "DONE", "AWAITING_APPROVAL"]
    assert vote(api, of(api, paid), "APPLY", "FI002")["errors"] == []
    assert sum(refunds(api, sandbox, paid)) == 7_500_000


def test_a_merchant_sees_that_the_office_refunded_and_no_names_of_staff(
    api: Api, sandbox: Sandbox
) -> None:
    shop = merchant_token(api)
    paid = paying(api, shop, created(api, shop, amount=9_000_000)["order"])["payment"]
    sandbox.pay(reference=paid["gatewayReference"])
    until(lambda: look(api, paid)["status"] == "SUCCESS", why="the webhook did not pay it")

    def names(token: str) -> list[str | None]:
        (reversal,) = api.get(HISTORY, {"id": paid["id"]}, token=token)["reversals"]
        return [reversal["requestedBy"], reversal["approvedBy"]]

    refund(api, paid, by="FI001")
    assert names(shop) == ["office", None]
    vote(api, of(api, paid), "APPLY", "FI002")
    assert names(shop) == ["office", "office"]
    assert names(api.token("AD001")) == ["FI001", "FI002"]


@both_languages
@pytest.mark.parametrize("decision", ["APPLY", "CLOSE"])
@pytest.mark.usefixtures("above_everything")
def test_the_requester_of_a_refund_neither_approves_nor_rejects_it(
    api: Api, sandbox: Sandbox, decision: str, language: str
) -> None:
    paid = handed_in(api)
    refund(api, paid)
    case = of(api, paid)
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, decision, "FI001", language=language)
    refused(payload, "NOT_PERMITTED", language)


@pytest.mark.usefixtures("above_everything")
def test_a_refund_above_the_limit_is_sent_after_the_second_vote(api: Api, sandbox: Sandbox) -> None:
    paid = by_gateway(api, sandbox)
    refund(api, paid)
    assert refunds(api, sandbox, paid) == [], "nothing is sent before"
    vote(api, of(api, paid), "APPLY", "FI002")
    assert refunds(api, sandbox, paid) == [paid["amount"]]
