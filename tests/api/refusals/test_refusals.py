"""Every refusal has its code, both languages, and no effect but its audit row."""

from __future__ import annotations

from typing import Any

import pytest

from domain.methods import GatewayName
from tests.support.refusals import BILL, KNOWN, both_languages, check_sentence, warm, without_effect
from tests.support.running_api import CANCEL, LOGIN, VERIFY, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]


@pytest.fixture(autouse=True)
def known(api: Api) -> None:
    warm(api)


# ── refusals of the business rules ───────────────────────────────────────────────────────────────

BAD_INPUT: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a short key": ({"idempotencyKey": "short"}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "a long key": ({"idempotencyKey": "k" * 129}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "an empty key": ({"idempotencyKey": ""}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "no items": ({"items": []}, "INVALID_INPUT", {"field": "items"}),
    "an item twice": ({"items": KNOWN["items"] * 2}, "INVALID_INPUT", {"field": "items.1.id"}),
    "51 items": (
        {"items": [{"type": "BILL", "id": f"U{n}", "amount": 1} for n in range(51)]},
        "INVALID_INPUT",
        {"field": "items"},
    ),
    "an amount of zero": (
        {"items": [{"type": "BILL", "id": BILL, "amount": 0}]},
        "INVALID_INPUT",
        {"field": "items.0.amount"},
    ),
    "a negative amount": (
        {"items": [{"type": "BILL", "id": BILL, "amount": -200_000}]},
        "INVALID_INPUT",
        {"field": "items.0.amount"},
    ),
    "a bad phone": ({"customerPhone": "12345"}, "INVALID_INPUT", {"field": "customerPhone"}),
    "a landline": ({"customerPhone": "02838000000"}, "INVALID_INPUT", {"field": "customerPhone"}),
    "not the bill's amount": (
        {"items": [{"type": "BILL", "id": BILL, "amount": 199_999}]},
        "AMOUNT_MISMATCH",
        {"expected": 200_000, "amountAsked": 199_999},
    ),
    "an unknown contract": ({"contractNumber": "SGFDN9"}, "NOT_FOUND", {}),
    "a contract that is no path": ({"contractNumber": "../staff/NV001"}, "NOT_FOUND", {}),
    "an unknown bill": ({"items": [{"type": "BILL", "id": "U0", "amount": 1}]}, "NOT_FOUND", {}),
    "a missing fee": ({"items": [{"type": "FEE", "id": BILL, "amount": 200_000}]}, "NOT_FOUND", {}),
    "another contract's bill": (KNOWN | {"contractNumber": "SGFDN2001"}, "NOT_FOUND", {}),
    "a terminated contract": ({"contractNumber": "SGFDN2039"}, "CONTRACT_INACTIVE", {}),
}  # fmt: skip


@both_languages
@pytest.mark.parametrize(("but", "code", "details"), BAD_INPUT.values(), ids=BAD_INPUT)
@pytest.mark.invariant(14)
def test_an_invalid_payment_is_refused_and_changes_nothing(
    api: Api,
    sandbox: Sandbox,
    but: dict[str, Any],
    code: str,
    details: dict[str, Any],
    language: str,
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", language=language, **(KNOWN | but))
    assert payload["payment"] is None
    (refused,) = payload["errors"]
    assert refused["code"] == code
    assert details.items() <= refused.items()
    check_sentence(refused["message"], language)


@both_languages
def test_a_method_whose_gateway_is_down_is_refused_with_alternatives(
    api: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    gateway: Any = api.context.gateways[GatewayName.PAYPAL]
    monkeypatch.setattr(gateway, "ready", lambda: False)
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", language=language, **(KNOWN | {"method": "PAYPAL"}))
    (refused,) = payload["errors"]
    assert (refused["code"], refused["gateway"]) == ("GATEWAY_UNAVAILABLE", "PAYPAL")
    assert "CASH" in refused["alternatives"]
    assert "PAYPAL" not in refused["alternatives"]
    check_sentence(refused["message"], language)


@both_languages
@pytest.mark.parametrize(
    ("limit", "change", "requested"),
    [
        ("PER_TRANSACTION", {"per_transaction_limit": 199_999}, 200_000),
        ("DAILY", {"daily_limit": 199_999}, 200_000),
        ("DAILY", {"daily_limit": 10_000_000, "used_today": 9_800_001}, 200_000),
    ],
)
def test_a_payment_past_a_limit_is_refused_with_every_figure(
    api: Api,
    sandbox: Sandbox,
    limit: str,
    change: dict[str, int],
    requested: int,
    language: str,
) -> None:
    by = api.collector()
    sandbox.change_staff(by, **change)
    api.token(by)
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment(by, language=language, **KNOWN)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["kind"]) == ("PAYMENT_LIMIT_EXCEEDED", limit)
    assert refused["requested"] == requested
    assert refused["remaining"] == refused["limit"] - refused["used"] - refused["reserved"]
    assert (refused["resetsAt"] is not None) is (limit == "DAILY")
    if language == "vi":
        assert refused["message"] == "Vượt quá hạn mức gạch nợ bằng tiền mặt"
    check_sentence(refused["message"], language)


def test_cash_in_hand_is_a_limit_of_its_own_and_the_wallet_does_not_count(
    api: Api, sandbox: Sandbox
) -> None:
    """Its default is the daily limit, and it does not restart with the day."""
    by = api.collector()
    sandbox.change_staff(by, daily_limit=1_000_000)
    api.new_payment(by)
    held = api.get("query { me { limits { kind used limit } } }", token=api.token(by))["limits"]
    in_hand = next(item for item in held if item["kind"] == "CASH_IN_HAND")
    assert in_hand["used"] > 0
    assert in_hand["limit"] == 1_000_000


# ── bills and keys in use ────────────────────────────────────────────────────────────────────────


@both_languages
def test_a_bill_in_collection_cannot_be_collected_by_a_second_member_of_staff(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    qr = api.new_payment("NV002", method="VNPAY_QR")
    again = {"contractNumber": qr["contractNumber"], "items": qr["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV001", language=language, **again)
    (refused,) = payload["errors"]
    assert refused["code"] == "BILL_LOCKED"
    assert (refused["paymentId"], refused["method"]) == (qr["id"], "VNPAY_QR")
    assert (refused["heldBy"], refused["billNumber"]) == ("Le Van Cuong", qr["items"][0]["id"])
    assert refused["until"]
    check_sentence(refused["message"], language)


def test_a_bill_in_collection_names_the_payment_to_its_collector(
    api: Api, sandbox: Sandbox
) -> None:
    """A client that lost its key continues with that payment."""
    by = api.collector()
    qr = api.new_payment(by, method="VNPAY_QR")
    again = {"contractNumber": qr["contractNumber"], "items": qr["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment(by, method="VNPAY_QR", **again)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["paymentId"]) == ("BILL_LOCKED", qr["id"])


@both_languages
def test_a_bill_that_was_paid_cannot_be_paid_again(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = api.new_payment("NV002")
    again = {"contractNumber": paid["contractNumber"], "items": paid["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", language=language, **again)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["billNumber"]) == ("BILL_ALREADY_PAID", paid["items"][0]["id"])
    assert refused["paidAt"]
    check_sentence(refused["message"], language)


def test_the_refusal_of_several_items_names_each_that_cannot_be_taken(
    api: Api, sandbox: Sandbox
) -> None:
    contract = next(
        item for item in (api.contract() for _ in range(50)) if len(api.owed(item)) >= 3
    )
    items = api.owed(contract)[:3]
    api.new_payment("NV002", contractNumber=contract, items=items[:1])
    api.new_payment("NV002", contractNumber=contract, items=items[1:2], method="VNPAY_QR")
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV001", contractNumber=contract, items=items)
    assert {(error["code"], error["billNumber"]) for error in payload["errors"]} == {
        ("BILL_ALREADY_PAID", items[0]["id"]),
        ("BILL_LOCKED", items[1]["id"]),
    }


@both_languages
def test_a_key_of_one_request_cannot_be_used_for_another(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    used = key()
    paid = api.new_payment("NV002", idempotencyKey=used)
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", idempotencyKey=used, language=language, **KNOWN)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["paymentId"]) == ("IDEMPOTENCY_KEY_REUSED", paid["id"])
    check_sentence(refused["message"], language)


def test_the_same_key_and_input_is_the_same_payment_and_changes_nothing(
    api: Api, sandbox: Sandbox
) -> None:
    request = {"idempotencyKey": key(), "contractNumber": api.contract()}
    paid = api.new_payment("NV002", **request)
    with without_effect(api, sandbox, audit=0):
        again = api.process_payment("NV002", **request)
    assert (again["replayed"], again["payment"]["id"]) == (True, paid["id"])


def test_a_refused_key_may_succeed_later(api: Api) -> None:
    request = {"idempotencyKey": key(), "contractNumber": api.contract()}
    items = api.owed(request["contractNumber"])[:1]
    wrong = [items[0] | {"amount": 1}]
    assert api.process_payment("NV002", **request, items=wrong)["errors"]
    assert api.new_payment("NV002", **request, items=items)["status"] == "SUCCESS"


@both_languages
@pytest.mark.parametrize("document", [CANCEL, VERIFY], ids=["ending it", "asking"])
def test_a_payment_of_unknown_outcome_still_locks_its_bill(
    api: Api, sandbox: Sandbox, document: str, language: str
) -> None:
    qr = api.new_payment("NV002", method="VNPAY_QR")
    given = {"id": qr["id"]} | ({"reason": "customer left"} if document is CANCEL else {})
    with sandbox.broken("vnpay", "500"):
        payload = api.get(document, given, token=api.token("NV002"), language=language)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["alternatives"]) == ("GATEWAY_UNAVAILABLE", [])
    assert refused["retryAfterMs"] == 5000
    check_sentence(refused["message"], language)
    again = api.process_payment(contractNumber=qr["contractNumber"], items=qr["items"])
    assert [error["code"] for error in again["errors"]] == ["BILL_LOCKED"]


@both_languages
@pytest.mark.parametrize("document", [CANCEL, VERIFY], ids=["cancel", "verify"])
@pytest.mark.parametrize("unknown", ["TXN_UNKNOWN", "", "' or 1=1 --", "🧾" * 50])
def test_a_payment_that_does_not_exist_is_not_found(
    api: Api, sandbox: Sandbox, document: str, unknown: str, language: str
) -> None:
    given = {"id": unknown} | ({"reason": "customer left"} if document is CANCEL else {})
    with without_effect(api, sandbox, audit=1):
        payload = api.get(document, given, token=api.token("NV002"), language=language)
    (refused,) = payload["errors"]
    assert refused["code"] == "NOT_FOUND"
    check_sentence(refused["message"], language)


@both_languages
def test_a_paid_payment_cannot_be_cancelled(api: Api, sandbox: Sandbox, language: str) -> None:
    paid = api.new_payment("NV002")
    with without_effect(api, sandbox, audit=1):
        payload = api.get(
            CANCEL,
            {"id": paid["id"], "reason": "mistake"},
            token=api.token("NV002"),
            language=language,
        )
    (refused,) = payload["errors"]
    assert refused["code"] == "TRANSITION_REFUSED"
    check_sentence(refused["message"], language)


@pytest.mark.parametrize("reason", ["", "  ", "no", "x" * 201])
def test_a_cancellation_needs_a_reason(api: Api, sandbox: Sandbox, reason: str) -> None:
    qr = api.new_payment("NV002", method="VNPAY_QR")
    with without_effect(api, sandbox, audit=1):
        payload = api.get(CANCEL, {"id": qr["id"], "reason": reason}, token=api.token("NV002"))
    (refused,) = payload["errors"]
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "reason")


@both_languages
@pytest.mark.parametrize(
    ("staff_id", "password"),
    [
        ("NV001", "not-their-password"),
        ("NOBODY", "mobinetNOBODY"),
        ("", ""),
    ],
)
def test_a_wrong_login_does_not_say_what_was_wrong(
    api: Api, sandbox: Sandbox, staff_id: str, password: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = api.get(
            LOGIN, {"input": {"staffId": staff_id, "password": password}}, language=language
        )
    (refused,) = payload["errors"]
    assert refused["code"] == "INVALID_CREDENTIALS"
    assert password not in refused["message"] or not password
    check_sentence(refused["message"], language)


def test_a_contract_that_was_just_terminated_is_refused(api: Api, sandbox: Sandbox) -> None:
    contract = api.contract()
    items = api.owed(contract)[:1]
    sandbox.change_contract(contract, "terminated")
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", contractNumber=contract, items=items)
    assert [error["code"] for error in payload["errors"]] == ["CONTRACT_INACTIVE"]


# ── unavailable systems ──────────────────────────────────────────────────────────────────────────


@both_languages
@pytest.mark.parametrize("system", ["revenue", "customer"])
def test_a_payment_needs_the_answers_of_the_internal_systems(
    api: Api, sandbox: Sandbox, system: str, language: str
) -> None:
    contract = api.contract()
    items = api.owed(contract)[:1]  # fills the cache, which serves only queries
    with sandbox.broken(system, "refuse"), without_effect(api, sandbox, audit=1):
        payload = api.process_payment(
            "NV002", contractNumber=contract, items=items, language=language
        )
    (refused,) = payload["errors"]
    assert refused["code"] == "UPSTREAM_UNAVAILABLE"
    check_sentence(refused["message"], language)


def test_every_refusal_code_of_a_payment_is_tested(
    api: Api, request: pytest.FixtureRequest
) -> None:
    """A new code needs a test here, or a reason in the list."""
    tried = {code for _, code, _ in BAD_INPUT.values()} | {
        "PAYMENT_LIMIT_EXCEEDED", "BILL_LOCKED", "BILL_ALREADY_PAID", "IDEMPOTENCY_KEY_REUSED",
        "UPSTREAM_UNAVAILABLE", "TRANSITION_REFUSED", "INVALID_CREDENTIALS", "GATEWAY_UNAVAILABLE",
    }  # fmt: skip
    elsewhere = {"IDEMPOTENCY_IN_PROGRESS", "NOT_PERMITTED"}
    published = api.get('{ __type(name: "RefusalCode") { enumValues { name } } }')
    assert {enum_value["name"] for enum_value in published["enumValues"]} == tried | elsewhere
