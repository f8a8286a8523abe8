"""Voids of cash by collectors and supervisors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.refusals import both_languages, without_effect
from tests.support.requests.reversals import handed_in, postings, refusal, used, void
from tests.support.running_api import Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]


def test_a_collector_voids_todays_cash_and_its_bill_can_be_collected_again(api: Api) -> None:
    by = api.collector()
    before = used(api, by)
    paid = api.new_payment(by)

    payload = void(api, paid, by)

    assert payload["errors"] == []
    reversal = payload["reversal"]
    assert (reversal["kind"], reversal["status"]) == ("VOID", "DONE")
    assert (reversal["amount"], reversal["reason"]) == (paid["amount"], "thu nhầm")
    voided = payload["payment"]
    assert (voided["status"], voided["custody"]) == ("SUCCESS", "VOIDED")
    assert voided["version"] == paid["version"] + 1
    assert voided["reversals"] == [reversal]
    assert postings(api, paid) == [("customer_receivable", "staff_cash", paid["amount"])]
    assert used(api, by) == before, "today's turnover and the cash in hand fall with it"
    again = api.new_payment(by, contractNumber=paid["contractNumber"], items=paid["items"])
    assert again["status"] == "SUCCESS"


def test_a_supervisor_of_the_team_voids_what_a_collector_took(api: Api) -> None:
    payload = void(api, api.new_payment("NV002"), "SV001")
    assert (payload["reversal"]["status"], payload["reversal"]["requestedBy"]) == ("DONE", "SV001")


def test_the_same_key_voids_once_and_gets_the_same_answer(api: Api, sandbox: Sandbox) -> None:
    paid, same = api.new_payment("NV002"), key()
    first = void(api, paid, "NV002", key=same)
    with without_effect(api, sandbox, audit=0):
        again = void(api, paid, "NV002", key=same)
    assert again["replayed"]
    assert again["reversal"] == first["reversal"]


@pytest.mark.invariant(22)
def test_ten_voids_at_once_void_once(api: Api) -> None:
    by = api.collector()
    before = used(api, by)
    paid = api.new_payment(by)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: void(api, paid, by), range(10)))
    assert sum(answer["reversal"] is not None for answer in answers) == 1
    codes = [answer["errors"][0]["code"] for answer in answers if answer["reversal"] is None]
    assert set(codes) == {"TRANSITION_REFUSED"}
    assert len(postings(api, paid)) == 1
    assert used(api, by) == before


def test_ten_voids_at_once_with_one_key_have_one_answer(api: Api) -> None:
    paid, same = api.new_payment("NV002"), key()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: void(api, paid, "NV002", key=same), range(10)))
    assert len({answer["reversal"]["id"] for answer in answers}) == 1
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 9


@both_languages
def test_a_voided_payment_is_not_voided_again_under_another_key(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = api.new_payment("NV002")
    void(api, paid, "NV002")
    with without_effect(api, sandbox, audit=1):
        payload = void(api, paid, "NV002", language=language)
    assert refusal(payload, language)["code"] == "TRANSITION_REFUSED"


@both_languages
def test_cash_that_was_handed_in_is_refunded_not_voided(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = handed_in(api)
    api.token(paid["staff"]["staffId"])
    with without_effect(api, sandbox, audit=1):
        payload = void(api, paid, paid["staff"]["staffId"], language=language)
    refused = refusal(payload, language)
    assert refused["code"] == "TRANSITION_REFUSED"
    assert ("refund" if language == "en" else "hoàn tiền") in refused["message"]


@both_languages
def test_only_cash_is_voided(api: Api, sandbox: Sandbox, language: str) -> None:
    qr = api.new_payment("NV002", method="VNPAY_QR")
    with without_effect(api, sandbox, audit=1):
        payload = void(api, qr, "NV002", language=language)
    assert refusal(payload, language)["code"] == "TRANSITION_REFUSED"


def test_a_payment_that_they_may_not_see_is_not_found(api: Api, sandbox: Sandbox) -> None:
    paid = api.new_payment("NV002")
    api.token("NV001")
    with without_effect(api, sandbox, audit=1):
        payload = void(api, paid, "NV001")
    assert refusal(payload)["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("but", "field"),
    [
        ({"reason": "no"}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"key": "short"}, "idempotencyKey"),
    ],
)
def test_a_void_needs_a_reason_and_a_key(
    api: Api, sandbox: Sandbox, but: dict[str, str], field: str
) -> None:
    paid = api.new_payment("NV002")
    with without_effect(api, sandbox, audit=1):
        payload = void(api, paid, "NV002", **but)
    refused = refusal(payload)
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", field)


@both_languages
def test_a_key_of_one_void_is_not_the_key_of_another(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    first, second, same = api.new_payment("NV002"), api.new_payment("NV002"), key()
    void(api, first, "NV002", key=same)
    with without_effect(api, sandbox, audit=1):
        payload = void(api, second, "NV002", key=same, language=language)
    refused = refusal(payload, language)
    assert (refused["code"], refused["paymentId"]) == ("IDEMPOTENCY_KEY_REUSED", first["id"])
