"""An amount that cannot be read: two people decide about it, and no amount is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways.callers import CALLERS, Caller, Notice, call_of, new_notice, send
from tests.support.gateways.notations import (
    BANKS,
    PAYPAL,
    SEPAY,
    VNPAY,
    deliver_unreadable,
    hold,
    notice,
    payment,
    quarantine_emptied,
)
from tests.support.gateways.webhook_cases import each_caller, notice_of, state
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, is_free, refused, vote
from tests.support.running_api import Api, Sandbox

pytest_plugins = ["tests.support.running_api"]
__all__ = ["notice", "payment", "quarantine_emptied"]


# ── decisions ────────────────────────────────────────────────────────────────────────────────────


@each_caller(CALLERS)
def test_two_people_may_assert_that_the_requested_amount_arrived(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    hold(api, caller, payment, notice)
    decide(api, payment, "APPLY")
    assert state(api, payment) == ("SUCCESS", None)
    before = books(api, payment)
    assert before["customer_receivable"] == payment["amount"]
    send(api, caller, call_of(caller, notice))
    assert books(api, payment) == before, "it is not booked again"


@each_caller([VNPAY, *BANKS])
@pytest.mark.parametrize(
    ("decision", "account"), [("CREDIT", "customer_credit"), ("REFUND", "refunds_payable")]
)
def test_two_people_may_credit_or_refund_the_amount_that_both_name(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice, decision: str, account: str
) -> None:
    hold(api, caller, payment, notice)
    decided = decide(api, payment, decision, amount=9_000)
    assert [approval["amount"] for approval in decided["approvals"]] == [9_000, 9_000]
    assert state(api, payment) == ("CANCELLED", None)
    gone = (
        caller in BANKS and decision == "REFUND"
    )  # the decision includes the transfer by accounting
    assert gone or books(api, payment)[account] == 9_000
    assert is_free(api, payment)
    before = books(api, payment)
    send(api, caller, call_of(caller, notice))
    assert books(api, payment) == before, "the money under that number is decided"


def test_unreadable_dollars_are_refunded_in_cents(api: Api) -> None:
    caller = PAYPAL
    payment = api.new_payment(method=caller.method)
    notice = notice_of(api, payment)
    found = hold(api, caller, payment, notice)
    assert found["unreadable"].endswith(" USD")
    refusal = refused(vote(api, found, "CREDIT", amount=500), "TRANSITION_REFUSED")
    assert "REFUND" in refusal["message"]
    decide(api, payment, "REFUND", amount=500)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (500, "USD")


@each_caller([SEPAY])
def test_the_excess_that_two_people_name_is_credited(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    hold(api, caller, payment, notice)
    decide(api, payment, "APPLY", amount=payment["amount"] + 300)
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_credit"] == 300


@both_languages
@each_caller([SEPAY])
@pytest.mark.parametrize(
    ("decision", "amount", "code"),
    [
        ("CREDIT", None, "INVALID_INPUT"),
        ("REFUND", None, "INVALID_INPUT"),
        ("CLOSE", 1_000, "INVALID_INPUT"),
        ("CREDIT", 0, "INVALID_INPUT"),
        ("REFUND", -5, "INVALID_INPUT"),
        ("APPLY", 1_000, "AMOUNT_MISMATCH"),
    ],
)
def test_an_amount_is_never_guessed(
    api: Api, sandbox: Sandbox, caller: Caller, payment: dict[str, Any], notice: Notice,
    decision: str, amount: int | None, code: str, language: str,
) -> None:  # fmt: skip
    found = hold(api, caller, payment, notice)
    given = {} if amount is None else {"amount": amount}
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, found, decision, language=language, **given)
    refusal = refused(payload, code, language)
    if code == "INVALID_INPUT":
        assert refusal["field"] == "amount"


@both_languages
@each_caller([SEPAY])
def test_two_people_who_name_different_amounts_do_not_agree(
    api: Api,
    sandbox: Sandbox,
    caller: Caller,
    payment: dict[str, Any],
    notice: Notice,
    language: str,
) -> None:
    found = hold(api, caller, payment, notice)
    assert vote(api, found, "CREDIT", "FI001", amount=9_000)["errors"] == []
    api.token("FI002")
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, found, "CREDIT", "FI002", amount=8_000, language=language)
    refusal = refused(payload, "INVALID_INPUT", language)
    assert "FI001" in refusal["message"]
    assert "9.000" in refusal["message"] or "9,000" in refusal["message"]
    assert vote(api, found, "CREDIT", "FI001", amount=8_000)["errors"] == []
    assert vote(api, found, "CREDIT", "FI002", amount=8_000)["case"]["status"] == "RESOLVED"
    assert books(api, payment)["customer_credit"] == 8_000


@both_languages
@each_caller([SEPAY])
def test_people_name_an_amount_only_where_the_gateways_is_unreadable(
    api: Api,
    sandbox: Sandbox,
    caller: Caller,
    payment: dict[str, Any],
    notice: Notice,
    language: str,
) -> None:
    send(api, caller, call_of(caller, new_notice(notice.reference, notice.amount - 1)))
    found = of(api, payment)
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, found, "CREDIT", amount=notice.amount, language=language)
    assert refused(payload, "INVALID_INPUT", language)["field"] == "amount"


@each_caller([SEPAY])
def test_a_vote_about_an_amount_that_became_known_does_not_count(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    found = hold(api, caller, payment, notice)
    assert vote(api, found, "CREDIT", "FI001", amount=9_000)["errors"] == []
    send(
        api,
        caller,
        call_of(caller, new_notice(notice.reference, notice.amount - 1, number=notice.number)),
    )
    second = vote(api, found, "CREDIT", "FI002")
    assert second["case"]["status"] == "AWAITING_SECOND"
    assert vote(api, found, "CREDIT", "FI001")["case"]["status"] == "RESOLVED"
    assert books(api, payment)["customer_credit"] == notice.amount - 1


@each_caller([SEPAY])
def test_money_that_comes_after_its_case_was_closed_is_still_booked(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    hold(api, caller, payment, notice)
    decide(api, payment, "CLOSE")
    assert state(api, payment) == ("CANCELLED", None)
    send(api, caller, call_of(caller, notice))
    assert state(api, payment) == ("SUCCESS", None)


# ── late ─────────────────────────────────────────────────────────────────────────────────────────


@each_caller(BANKS)
def test_late_money_that_cannot_be_read_is_a_case_and_an_exact_notice_settles_it(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    """Hard case 6; a bank's notice is evidence after the end too."""
    cancel(api, payment)
    text = deliver_unreadable(api, caller, notice)
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("LATE_MONEY", None, None)
    assert text in found["about"]
    send(api, caller, call_of(caller, notice))
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)
    assert of(api, payment)["suggestion"] == "CLOSE"


@each_caller([SEPAY])
def test_late_money_that_cannot_be_read_pays_its_bill_by_two_votes(
    api: Api, caller: Caller, payment: dict[str, Any], notice: Notice
) -> None:
    cancel(api, payment)
    deliver_unreadable(api, caller, notice)
    decide(api, payment, "APPLY")
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)


def cancel(api: Api, payment: dict[str, Any]) -> None:
    document = (
        'mutation ($id: ID!) { cancelPayment(id: $id, reason: "customer left") { errors { code }'
        " } }"
    )
    assert api.get(document, {"id": payment["id"]}, token=api.token("NV002"))["errors"] == []
    assert state(api, payment) == ("CANCELLED", None)
