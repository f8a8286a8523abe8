"""A sum in another notation: read where it is a whole number, and else held with its text until somebody knows it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from schema.verify import verify
from tests.gateway_table import case
from tests.house import Api, Sandbox
from tests.schema.deciding import books, decide, is_free, refused, say
from tests.schema.notations import readable, unreadable
from tests.schema.refusing import both_languages, without_effect
from tests.schema.settling import Desk
from tests.schema.test_cases import of
from tests.schema.test_gateway_calls import booked, introduced, outcomes, spoken_by, state, word
from tests.schema.voices import VOICES, Said, Voice, call_of, call_with, said, send

pytest_plugins = ["tests.house", "tests.schema.settling"]
__all__ = ["introduced"]

VNPAY, SEPAY = VOICES[0], VOICES[-1]
BANKS = [voice for voice in VOICES if voice.path.startswith("bank")]


@pytest.fixture
def payment(api: Api, voice: Voice) -> dict[str, Any]:
    return api.paid(method=voice.method)


@pytest.fixture
def told(api: Api, payment: dict[str, Any]) -> Said:
    return word(api, payment)


def write(api: Api, voice: Voice, told: Said, amount: Any) -> int:
    return send(api, voice, call_with(voice, told, amount)).status_code


def text_of(voice: Voice, told: Said) -> str:
    return str(unreadable(voice, told.amount)[0])


def hold(api: Api, voice: Voice, payment: dict[str, Any], told: Said) -> dict[str, Any]:
    """Have the payment held for a sum that nobody can read; return its case."""
    assert write(api, voice, told, unreadable(voice, told.amount)[0]) in {200, 204}
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    return of(api, payment)


# ── what is that sum all the same ────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@spoken_by(VOICES)
def test_a_whole_number_in_another_notation_pays_the_bill(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said, nth: int
) -> None:
    ways = readable(voice, told.amount)
    assert write(api, voice, told, ways[nth % len(ways)]) in {200, 204}
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


@case("amount notations")
@spoken_by(VOICES)
def test_the_same_sum_in_two_notations_is_booked_once(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    for amount in readable(voice, told.amount):
        write(api, voice, told, amount)
    send(api, voice, call_of(voice, told))
    assert state(api, payment) == ("SUCCESS", None)
    assert booked(api, payment) == [("customer_receivable", payment["amount"])]


# ── what nobody can read ─────────────────────────────────────────────────────────────────────────


@case("amount notations")
@pytest.mark.parametrize("nth", range(4))
@spoken_by(VOICES)
def test_a_sum_that_cannot_be_read_is_held_with_its_text_and_without_a_sum(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said, nth: int
) -> None:
    amount = unreadable(voice, told.amount)[nth]
    assert write(api, voice, told, amount) in {200, 204}
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == []
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("AMOUNT_MISMATCH", None, None)
    assert str(amount) in found["about"]
    assert str(amount) in found["unreadable"]


@case("amount notations")
@spoken_by(VOICES)
def test_a_sum_that_cannot_be_read_is_one_case_however_often_it_is_told(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    first = hold(api, voice, payment, told)
    amount = unreadable(voice, told.amount)[0]
    write(api, voice, told, amount)
    again = said(told.reference, told.amount, number=told.number)
    write(api, voice, again, amount)
    rows = api.rows("select id from money_case where payment = $1", payment["id"])
    assert [row["id"] for row in rows] == [first["id"]]
    assert outcomes(api, told.reference)[0] == "HANDLED"


# ── what is told later ───────────────────────────────────────────────────────────────────────────


@case("amount notations")
@spoken_by(VOICES)
def test_a_later_exact_notice_settles_what_could_not_be_read(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    waiting = hold(api, voice, payment, told)
    assert send(api, voice, call_of(voice, told)).status_code in {200, 204}
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
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    waiting = hold(api, voice, payment, told)
    less = said(told.reference, told.amount - 1, number=told.number)
    send(api, voice, call_of(voice, less))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert booked(api, payment) == [("suspense", told.amount - 1)]
    found = of(api, payment)
    assert (found["id"], found["status"], found["unreadable"]) == (waiting["id"], "OPEN", None)
    assert found["amount"] == (None if voice.path == "paypal" else told.amount - 1)
    send(api, voice, call_of(voice, said(told.reference, told.amount, number=told.number)))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH"), "two sums contradict"
    decide(api, payment, "REFUND")
    assert state(api, payment) == ("CANCELLED", None)


@spoken_by([VNPAY, SEPAY])
def test_an_exact_notice_under_another_number_pays_and_leaves_the_unreadable_to_people(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    waiting = hold(api, voice, payment, told)
    send(api, voice, call_of(voice, word(api, payment)))
    assert state(api, payment) == ("SUCCESS", None)
    found = of(api, payment)
    assert (found["id"], found["suggestion"]) == (waiting["id"], None)
    assert found["unreadable"] == waiting["unreadable"]
    decide(api, payment, "CREDIT", amount=5_000)
    assert books(api, payment)["customer_credit"] == 5_000
    send(api, voice, call_of(voice, told))
    assert books(api, payment)["customer_credit"] == 5_000, "its number is known by now"
    assert "suspense" not in books(api, payment)


@spoken_by([VNPAY, SEPAY])
def test_a_second_payment_that_cannot_be_read_is_decided_by_the_sum_that_people_name(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    send(api, voice, call_of(voice, told))
    second = word(api, payment)
    write(api, voice, second, unreadable(voice, told.amount)[0])
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("PAID_TWICE", None, None)
    decide(api, payment, "REFUND", amount=7_000)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (7_000, "VND")
    before = books(api, payment)
    send(api, voice, call_of(voice, second))
    assert books(api, payment) == before


# ── two people ───────────────────────────────────────────────────────────────────────────────────


@spoken_by(VOICES)
def test_two_people_may_assert_that_what_was_asked_arrived(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    hold(api, voice, payment, told)
    decide(api, payment, "APPLY")
    assert state(api, payment) == ("SUCCESS", None)
    before = books(api, payment)
    assert before["customer_receivable"] == payment["amount"]
    send(api, voice, call_of(voice, told))
    assert books(api, payment) == before, "it is not booked again"


@spoken_by([VNPAY, *BANKS])
@pytest.mark.parametrize(
    ("decision", "account"), [("CREDIT", "customer_credit"), ("REFUND", "refunds_payable")]
)
def test_two_people_may_give_away_the_sum_that_both_of_them_name(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said, decision: str, account: str
) -> None:
    hold(api, voice, payment, told)
    decided = decide(api, payment, decision, amount=9_000)
    assert [one["amount"] for one in decided["approvals"]] == [9_000, 9_000]
    assert state(api, payment) == ("CANCELLED", None)
    gone = voice in BANKS and decision == "REFUND"  # accounting pays it with the decision
    assert gone or books(api, payment)[account] == 9_000
    assert is_free(api, payment)
    before = books(api, payment)
    send(api, voice, call_of(voice, told))
    assert books(api, payment) == before, "what came under that number is decided"


def test_dollars_that_cannot_be_read_are_given_back_in_cents(api: Api) -> None:
    voice = VOICES[4]
    payment = api.paid(method=voice.method)
    told = word(api, payment)
    found = hold(api, voice, payment, told)
    assert found["unreadable"].endswith(" USD")
    no = refused(say(api, found, "CREDIT", amount=500), "TRANSITION_REFUSED")
    assert "REFUND" in no["message"]
    decide(api, payment, "REFUND", amount=500)
    (row,) = api.rows("select amount, currency from reversal where payment = $1", payment["id"])
    assert tuple(row) == (500, "USD")


@spoken_by([SEPAY])
def test_more_than_was_asked_is_credited_when_two_people_name_it(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    hold(api, voice, payment, told)
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
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], told: Said,
    decision: str, amount: int | None, code: str, language: str,
) -> None:  # fmt: skip
    found = hold(api, voice, payment, told)
    given = {} if amount is None else {"amount": amount}
    with without_effect(api, sandbox, audit=1):
        payload = say(api, found, decision, language=language, **given)
    no = refused(payload, code, language)
    if code == "INVALID_INPUT":
        assert no["field"] == "amount"


@both_languages
@spoken_by([SEPAY])
def test_two_people_who_name_two_sums_do_not_agree(
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], told: Said, language: str
) -> None:
    found = hold(api, voice, payment, told)
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
    api: Api, sandbox: Sandbox, voice: Voice, payment: dict[str, Any], told: Said, language: str
) -> None:
    send(api, voice, call_of(voice, said(told.reference, told.amount - 1)))
    found = of(api, payment)
    with without_effect(api, sandbox, audit=1):
        payload = say(api, found, "CREDIT", amount=told.amount, language=language)
    assert refused(payload, "INVALID_INPUT", language)["field"] == "amount"


@spoken_by([SEPAY])
def test_a_word_about_a_sum_that_has_become_known_since_counts_no_more(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    found = hold(api, voice, payment, told)
    assert say(api, found, "CREDIT", "FI001", amount=9_000)["errors"] == []
    send(api, voice, call_of(voice, said(told.reference, told.amount - 1, number=told.number)))
    second = say(api, found, "CREDIT", "FI002")
    assert second["case"]["status"] == "AWAITING_SECOND"
    assert say(api, found, "CREDIT", "FI001")["case"]["status"] == "RESOLVED"
    assert books(api, payment)["customer_credit"] == told.amount - 1


@spoken_by([SEPAY])
def test_a_sum_that_came_to_nothing_is_closed_and_is_booked_if_it_comes_after_all(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    hold(api, voice, payment, told)
    decide(api, payment, "CLOSE")
    assert state(api, payment) == ("CANCELLED", None)
    send(api, voice, call_of(voice, told))
    assert state(api, payment) == ("SUCCESS", None)


# ── late ─────────────────────────────────────────────────────────────────────────────────────────


@spoken_by(BANKS)
def test_late_money_that_cannot_be_read_is_a_case_and_an_exact_notice_settles_it(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    """Hard case 6; a bank's notice is believed after the end too."""
    cancel(api, payment)
    write(api, voice, told, unreadable(voice, told.amount)[0])
    found = of(api, payment)
    assert (found["kind"], found["amount"], found["suggestion"]) == ("LATE_MONEY", None, None)
    assert text_of(voice, told) in found["about"]
    send(api, voice, call_of(voice, told))
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)
    assert of(api, payment)["suggestion"] == "CLOSE"


@spoken_by([SEPAY])
def test_late_money_that_cannot_be_read_pays_its_bill_by_two_peoples_word(
    api: Api, voice: Voice, payment: dict[str, Any], told: Said
) -> None:
    cancel(api, payment)
    write(api, voice, told, unreadable(voice, told.amount)[0])
    decide(api, payment, "APPLY")
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)


def cancel(api: Api, payment: dict[str, Any]) -> None:
    document = 'mutation ($id: ID!) { cancelPayment(id: $id, reason: "customer left") { errors { code } } }'
    assert api.get(document, {"id": payment["id"]}, token=api.token("NV002"))["errors"] == []
    assert state(api, payment) == ("CANCELLED", None)


# ── a settlement run, the proof and the receipt agree ────────────────────────────────────────────


def line(voice: Voice, payment: dict[str, Any], told: Said, amount: str) -> str:
    number = told.number if not voice.path.startswith("bank") else f"FT{told.number}"
    number = f"pi_{number}" if voice.path == "stripe" else number
    currency = "USD" if voice.path == "paypal" else "VND"
    return f"{told.reference},{number},payment,{amount},{currency},success,{told.at.isoformat()}"


def holds(api: Api) -> None:
    heard: list[str] = []
    sound = asyncio.run(verify(api.settings, signatures=True, as_json=False, say=heard.append))
    assert sound, "\n".join(heard)


def receipt(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    (row,) = api.rows("select receipt_token from payment where id = $1", payment["id"])
    headers = {"Accept": "application/json"}
    return api.http.get(f"/pay/{row['receipt_token']}", headers=headers).json()


@pytest.mark.parametrize("way", ["settled by a notice", "settled by the file", "read at once"])
@spoken_by(VOICES)
def test_the_settlement_the_proof_and_the_receipt_agree(
    desk: Desk, voice: Voice, payment: dict[str, Any], told: Said, way: str
) -> None:
    api = desk.api
    if way == "read at once":
        dollars = f"{told.amount // 100}.{told.amount % 100:02}"
        exact = dollars if voice.path == "paypal" else readable(voice, told.amount)[0]
        write(api, voice, told, exact)
    else:
        hold(api, voice, payment, told)
    if way == "settled by a notice":
        send(api, voice, call_of(voice, told))
    before = desk.cases(payment)
    settled = line(voice, payment, told, f"{told.amount}.00")
    desk.imports(settled, gateway=payment["gateway"].lower())
    (mine,) = desk.of(payment)
    assert (mine["result"], mine["theirs"], mine["ours"], mine["caseId"]) == (
        "MATCHED", told.amount, told.amount, None,
    )  # fmt: skip
    assert desk.cases(payment) == before, "the file opens none"
    assert state(api, payment) == ("SUCCESS", None)
    holds(api)
    sworn = json.loads(receipt(api, payment)["payload"])
    assert (sworn["transaction_id"], sworn["status"], sworn["amount"]) == (
        payment["id"], "SUCCESS", payment["amount"],
    )  # fmt: skip
