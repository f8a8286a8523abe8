"""A sum that cannot be read: what two people decide of it, early and late, and that none of it is ever guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways.callers import VOICES, Said, Voice, call_of, said, send
from tests.support.gateways.notations import (
    BANKS,
    PAYPAL,
    SEPAY,
    VNPAY,
    hold,
    introduced,
    notice,
    payment,
    write_unreadably,
)
from tests.support.gateways.webhook_cases import spoken_by, state, word
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, is_free, refused, say
from tests.support.running_api import Api, Sandbox

pytest_plugins = ["tests.support.running_api"]
__all__ = ["introduced", "notice", "payment"]


# ── two people ───────────────────────────────────────────────────────────────────────────────────


@spoken_by(VOICES)
def test_two_people_may_assert_that_what_was_asked_arrived(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    hold(api, voice, payment, notice)
    decide(api, payment, "APPLY")
    assert state(api, payment) == ("SUCCESS", None)
    before = books(api, payment)
    assert before["customer_receivable"] == payment["amount"]
    send(api, voice, call_of(voice, notice))
    assert books(api, payment) == before, "it is not booked again"


@spoken_by([VNPAY, *BANKS])
@pytest.mark.parametrize(
    ("decision", "account"), [("CREDIT", "customer_credit"), ("REFUND", "refunds_payable")]
)
def test_two_people_may_give_away_the_sum_that_both_of_them_name(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said, decision: str, account: str
) -> None:
    hold(api, voice, payment, notice)
    decided = decide(api, payment, decision, amount=9_000)
    assert [approval["amount"] for approval in decided["approvals"]] == [9_000, 9_000]
    assert state(api, payment) == ("CANCELLED", None)
    gone = voice in BANKS and decision == "REFUND"  # accounting pays it with the decision
    assert gone or books(api, payment)[account] == 9_000
    assert is_free(api, payment)
    before = books(api, payment)
    send(api, voice, call_of(voice, notice))
    assert books(api, payment) == before, "what came under that number is decided"


def test_dollars_that_cannot_be_read_are_given_back_in_cents(api: Api) -> None:
    voice = PAYPAL
    payment = api.paid(method=voice.method)
    notice = word(api, payment)
    found = hold(api, voice, payment, notice)
    assert found["unreadable"].endswith(" USD")
    no = refused(say(api, found, "CREDIT", amount=500), "TRANSITION_REFUSED")
    assert "REFUND" in no["message"]
    decide(api, payment, "REFUND", amount=500)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (500, "USD")


@spoken_by([SEPAY])
def test_more_than_was_asked_is_credited_when_two_people_name_it(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    hold(api, voice, payment, notice)
    decide(api, payment, "APPLY", amount=payment["amount"] + 300)
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_credit"] == 300


@both_languages
@spoken_by([SEPAY])
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
def test_a_sum_is_never_guessed(
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], notice: Said,
    decision: str, amount: int | None, code: str, language: str,
) -> None:  # fmt: skip
    found = hold(api, voice, payment, notice)
    given = {} if amount is None else {"amount": amount}
    with without_effect(api, sandbox, audit=1):
        payload = say(api, found, decision, language=language, **given)
    no = refused(payload, code, language)
    if code == "INVALID_INPUT":
        assert no["field"] == "amount"


@both_languages
@spoken_by([SEPAY])
def test_two_people_who_name_two_sums_do_not_agree(
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], notice: Said, language: str
) -> None:
    found = hold(api, voice, payment, notice)
    assert say(api, found, "CREDIT", "FI001", amount=9_000)["errors"] == []
    api.token("FI002")
    with without_effect(api, sandbox, audit=1):
        payload = say(api, found, "CREDIT", "FI002", amount=8_000, language=language)
    no = refused(payload, "INVALID_INPUT", language)
    assert "FI001" in no["message"]
    assert "9.000" in no["message"] or "9,000" in no["message"]
    assert say(api, found, "CREDIT", "FI001", amount=8_000)["errors"] == []
    assert say(api, found, "CREDIT", "FI002", amount=8_000)["case"]["status"] == "RESOLVED"
    assert books(api, payment)["customer_credit"] == 8_000


@both_languages
@spoken_by([SEPAY])
def test_a_sum_is_named_only_where_the_gateways_own_cannot_be_read(
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], notice: Said, language: str
) -> None:
    send(api, voice, call_of(voice, said(notice.reference, notice.amount - 1)))
    found = of(api, payment)
    with without_effect(api, sandbox, audit=1):
        payload = say(api, found, "CREDIT", amount=notice.amount, language=language)
    assert refused(payload, "INVALID_INPUT", language)["field"] == "amount"


@spoken_by([SEPAY])
def test_a_word_about_a_sum_that_has_become_known_since_counts_no_more(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    found = hold(api, voice, payment, notice)
    assert say(api, found, "CREDIT", "FI001", amount=9_000)["errors"] == []
    send(
        api, voice, call_of(voice, said(notice.reference, notice.amount - 1, number=notice.number))
    )
    second = say(api, found, "CREDIT", "FI002")
    assert second["case"]["status"] == "AWAITING_SECOND"
    assert say(api, found, "CREDIT", "FI001")["case"]["status"] == "RESOLVED"
    assert books(api, payment)["customer_credit"] == notice.amount - 1


@spoken_by([SEPAY])
def test_a_sum_that_came_to_nothing_is_closed_and_is_booked_if_it_comes_after_all(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    hold(api, voice, payment, notice)
    decide(api, payment, "CLOSE")
    assert state(api, payment) == ("CANCELLED", None)
    send(api, voice, call_of(voice, notice))
    assert state(api, payment) == ("SUCCESS", None)


# ── late ─────────────────────────────────────────────────────────────────────────────────────────


@spoken_by(BANKS)
def test_late_money_that_cannot_be_read_is_a_case_and_an_exact_notice_settles_it(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    """Hard case 6; a bank's notice is believed after the end too."""
    cancel(api, payment)
    text = write_unreadably(api, voice, notice)
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("LATE_MONEY", None, None)
    assert text in found["about"]
    send(api, voice, call_of(voice, notice))
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)
    assert of(api, payment)["suggestion"] == "CLOSE"


@spoken_by([SEPAY])
def test_late_money_that_cannot_be_read_pays_its_bill_by_two_peoples_word(
    api: Api, voice: Voice, payment: dict[str, Any], notice: Said
) -> None:
    cancel(api, payment)
    write_unreadably(api, voice, notice)
    decide(api, payment, "APPLY")
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)


def cancel(api: Api, payment: dict[str, Any]) -> None:
    document = 'mutation ($id: ID!) { cancelPayment(id: $id, reason: "customer left") { errors { code } } }'
    assert api.get(document, {"id": payment["id"]}, token=api.token("NV002"))["errors"] == []
    assert state(api, payment) == ("CANCELLED", None)
