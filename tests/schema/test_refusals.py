"""Every no gets its code, says in both languages what to do, and leaves no trace but its audit row."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from domain.methods import GatewayName
from tests.house import CANCEL, LOGIN, PAYMENT, PROCESS, VERIFY, Api, Sandbox, key

pytest_plugins = ["tests.house"]

VIETNAMESE = set("àáảãạăằắẳẵặâầấẩẫậèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵđ")
BILL = "U23SG0073526"
KNOWN = {"contractNumber": "SGFDN1015", "items": [{"type": "BILL", "id": BILL, "amount": 200_000}]}


@pytest.fixture(autouse=True)
def warm(api: Api, sandbox: Sandbox) -> None:
    """Who asks is known, with today's limits: what is read on the way is written before."""
    for staff_id in ("NV001", "NV002", "SV001"):
        api.get("query { me { limits { kind } } }", token=api.token(staff_id))


@contextmanager
def without_effect(api: Api, sandbox: Sandbox, *, audit: int) -> Iterator[None]:
    """Check that nothing changed in any table but *audit* more audit rows, and no gateway was asked."""
    before, heard = api.dump(), sandbox.last_request
    yield
    after = api.dump()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {"audit_event"}, {name: _diff(before, after, name) for name in changed}
    assert (after["audit_event"] - before["audit_event"]).total() == audit
    assert before["audit_event"] <= after["audit_event"]
    asked = [one for one in sandbox.requests(since=heard) if one["system"] in {"vnpay", "fpt_pay"}]
    assert asked == []


def _diff(
    before: dict[str, Counter[str]], after: dict[str, Counter[str]], name: str
) -> tuple[int, int]:
    return (before[name] - after[name]).total(), (after[name] - before[name]).total()


def check_sentence(message: str, language: str) -> None:
    assert message[0].isupper() or message.split(":")[0].isidentifier() or "." in message
    assert "{" not in message
    assert "None" not in message
    has_marks = bool(VIETNAMESE & set(message.lower().replace("đồng", "")))
    assert has_marks is (language == "vi"), message


both_languages = pytest.mark.parametrize("language", ["vi", "en"])


# ── what the business says no to: typed, in the payload ──────────────────────────────────────────

BAD_INPUT: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "a short key": ({"idempotencyKey": "short"}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "a long key": ({"idempotencyKey": "k" * 129}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "an empty key": ({"idempotencyKey": ""}, "INVALID_INPUT", {"field": "idempotencyKey"}),
    "no items": ({"items": []}, "INVALID_INPUT", {"field": "items"}),
    "an item twice": (
        {"items": KNOWN["items"] * 2},
        "INVALID_INPUT",
        {"field": "items.1.id"},
    ),
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
    "an unknown fee": ({"items": [{"type": "FEE", "id": BILL, "amount": 200_000}]}, "NOT_FOUND", {}),
    "another contract's bill": (KNOWN | {"contractNumber": "SGFDN2001"}, "NOT_FOUND", {}),
    "a terminated contract": ({"contractNumber": "SGFDN2039"}, "CONTRACT_INACTIVE", {}),
}  # fmt: skip


@both_languages
@pytest.mark.parametrize(("but", "code", "details"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_a_payment_that_makes_no_sense_is_refused_and_changes_nothing(
    api: Api,
    sandbox: Sandbox,
    but: dict[str, Any],
    code: str,
    details: dict[str, Any],
    language: str,
) -> None:
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", language=language, **(KNOWN | but))
    assert payload["payment"] is None
    (refused,) = payload["errors"]
    assert refused["code"] == code
    assert details.items() <= refused.items()
    check_sentence(refused["message"], language)


@both_languages
def test_a_method_whose_gateway_is_down_is_refused_with_what_works(
    api: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    gateway: Any = api.context.gateways[GatewayName.PAYPAL]
    monkeypatch.setattr(gateway, "ready", lambda: False)
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", language=language, **(KNOWN | {"method": "PAYPAL"}))
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
        payload = api.pay(by, language=language, **KNOWN)
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
    """Its default is the daily limit; it does not begin anew with the day."""
    by = api.collector()
    sandbox.change_staff(by, daily_limit=1_000_000)
    api.paid(by)
    held = api.get("query { me { limits { kind used limit } } }", token=api.token(by))["limits"]
    in_hand = next(one for one in held if one["kind"] == "CASH_IN_HAND")
    assert in_hand["used"] > 0
    assert in_hand["limit"] == 1_000_000


# ── what is already there ────────────────────────────────────────────────────────────────────────


@both_languages
def test_a_bill_in_collection_cannot_be_collected_by_a_second_member_of_staff(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    qr = api.paid("NV002", method="VNPAY_QR")
    again = {"contractNumber": qr["contractNumber"], "items": qr["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV001", language=language, **again)
    (refused,) = payload["errors"]
    assert refused["code"] == "BILL_LOCKED"
    assert (refused["paymentId"], refused["method"]) == (qr["id"], "VNPAY_QR")
    assert (refused["heldBy"], refused["billNumber"]) == ("Le Van Cuong", qr["items"][0]["id"])
    assert refused["until"]
    check_sentence(refused["message"], language)


def test_a_bill_in_collection_names_the_payment_to_whoever_began_it(
    api: Api, sandbox: Sandbox
) -> None:
    """The app lost its key, not its payment: it goes on with that one."""
    by = api.collector()
    qr = api.paid(by, method="VNPAY_QR")
    again = {"contractNumber": qr["contractNumber"], "items": qr["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.pay(by, method="VNPAY_QR", **again)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["paymentId"]) == ("BILL_LOCKED", qr["id"])


@both_languages
def test_a_bill_that_was_paid_cannot_be_paid_again(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    paid = api.paid("NV002")
    again = {"contractNumber": paid["contractNumber"], "items": paid["items"]}
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", language=language, **again)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["billNumber"]) == ("BILL_ALREADY_PAID", paid["items"][0]["id"])
    assert refused["paidAt"]
    check_sentence(refused["message"], language)


def test_the_refusal_of_several_items_names_each_that_cannot_be_taken(
    api: Api, sandbox: Sandbox
) -> None:
    contract = next(one for one in (api.contract() for _ in range(50)) if len(api.owed(one)) >= 3)
    items = api.owed(contract)[:3]
    api.paid("NV002", contractNumber=contract, items=items[:1])
    api.paid("NV002", contractNumber=contract, items=items[1:2], method="VNPAY_QR")
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV001", contractNumber=contract, items=items)
    assert {(one["code"], one["billNumber"]) for one in payload["errors"]} == {
        ("BILL_ALREADY_PAID", items[0]["id"]),
        ("BILL_LOCKED", items[1]["id"]),
    }


@both_languages
def test_a_key_of_one_request_cannot_be_used_for_another(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    used = key()
    paid = api.paid("NV002", idempotencyKey=used)
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", idempotencyKey=used, language=language, **KNOWN)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["paymentId"]) == ("IDEMPOTENCY_KEY_REUSED", paid["id"])
    check_sentence(refused["message"], language)


def test_the_same_key_and_input_is_the_same_payment_and_changes_nothing(
    api: Api, sandbox: Sandbox
) -> None:
    asked = {"idempotencyKey": key(), "contractNumber": api.contract()}
    paid = api.paid("NV002", **asked)
    with without_effect(api, sandbox, audit=0):
        again = api.pay("NV002", **asked)
    assert (again["replayed"], again["payment"]["id"]) == (True, paid["id"])


def test_a_refused_key_may_succeed_later(api: Api) -> None:
    asked = {"idempotencyKey": key(), "contractNumber": api.contract()}
    items = api.owed(asked["contractNumber"])[:1]
    wrong = [items[0] | {"amount": 1}]
    assert api.pay("NV002", **asked, items=wrong)["errors"]
    assert api.paid("NV002", **asked, items=items)["status"] == "SUCCESS"


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
def test_what_is_paid_cannot_be_cancelled(api: Api, sandbox: Sandbox, language: str) -> None:
    paid = api.paid("NV002")
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
    qr = api.paid("NV002", method="VNPAY_QR")
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


def test_a_contract_that_was_terminated_a_minute_ago_is_terminated(
    api: Api, sandbox: Sandbox
) -> None:
    contract = api.contract()
    items = api.owed(contract)[:1]
    sandbox.change_contract(contract, "terminated")
    with without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", contractNumber=contract, items=items)
    assert [one["code"] for one in payload["errors"]] == ["CONTRACT_INACTIVE"]


# ── an outer system that does not answer ─────────────────────────────────────────────────────────


@both_languages
@pytest.mark.parametrize("system", ["revenue", "customer"])
def test_a_payment_is_not_decided_on_what_nobody_said(
    api: Api, sandbox: Sandbox, system: str, language: str
) -> None:
    contract = api.contract()
    items = api.owed(contract)[:1]  # the customer is in the cache now: a cache is for display
    with sandbox.broken(system, "refuse"), without_effect(api, sandbox, audit=1):
        payload = api.pay("NV002", contractNumber=contract, items=items, language=language)
    (refused,) = payload["errors"]
    assert refused["code"] == "UPSTREAM_UNAVAILABLE"
    check_sentence(refused["message"], language)


# ── what GraphQL's types refuse ──────────────────────────────────────────────────────────────────

NOT_AMOUNTS: dict[str, Any] = {
    "a fraction": 200_000.5,
    "a whole fraction": 200_000.0,
    "2^53": 2**53,
    "text": "200000",
    "text with a separator": "200.000",
    "true": True,
    "nothing": None,
    "a list": [200_000],
}


@pytest.mark.parametrize("amount", NOT_AMOUNTS.values(), ids=NOT_AMOUNTS)
def test_no_other_json_is_an_amount(api: Api, sandbox: Sandbox, amount: Any) -> None:
    item = {"type": "BILL", "id": BILL, "amount": amount}
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN | {"items": [item]}
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("literal", ["2e5", "200000.0", '"200000"', "9007199254740992", "CASH"])
def test_no_other_literal_is_an_amount(api: Api, sandbox: Sandbox, literal: str) -> None:
    document = f"query {{ limitPreview(method: CASH, amount: {literal}) {{ allowed }} }}"
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(document, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


def test_an_exponent_in_json_is_no_amount(api: Api) -> None:
    body = json.dumps(
        {
            "query": "query ($amount: Amount!) { limitPreview(method: CASH, amount: $amount) { allowed } }",
            "variables": {"amount": "THE_AMOUNT"},
        }
    ).replace('"THE_AMOUNT"', "2e5")
    answer = api.http.post(
        "/graphql",
        content=body,
        headers={
            "content-type": "application/json",
            "authorization": f"Bearer {api.token('NV002')}",
        },
    ).json()
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("missing", ["idempotencyKey", "contractNumber", "method", "items"])
def test_what_is_needed_is_needed(api: Api, sandbox: Sandbox, missing: str) -> None:
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN
    del given[missing]
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("change", [{"method": "BITCOIN"}, {"method": "cash"}, {"tip": 5}])
def test_what_is_unknown_is_unknown(api: Api, sandbox: Sandbox, change: dict[str, Any]) -> None:
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN | change
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


# ── queries: their refusals are top-level errors ─────────────────────────────────────────────────

PAGE = """
query ($first: Int, $after: String, $orderBy: PaymentOrder, $filter: PaymentFilter) {
  payments(first: $first, after: $after, orderBy: $orderBy, filter: $filter) { totalCount } }
"""


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


BAD_PAGES: dict[str, tuple[dict[str, Any], str]] = {
    "first: 0": ({"first": 0}, "INVALID_INPUT"),
    "first: -1": ({"first": -1}, "INVALID_INPUT"),
    "first: 101": ({"first": 101}, "QUERY_TOO_EXPENSIVE"),
    "a cursor that is none": ({"after": "garbage"}, "INVALID_INPUT"),
    "an empty cursor": ({"after": ""}, "INVALID_INPUT"),
    "a cursor in letters of ours": ({"after": "đ"}, "INVALID_INPUT"),
    "a cursor of another order": (
        {"after": _cursor("CREATED_ASC", "2026-01-01T00:00:00+00:00", "TXN_1")},
        "INVALID_INPUT",
    ),
    "a cursor with too large a number": (
        {
            "after": _cursor("AMOUNT_ASC", 10**30, "2026-01-01T00:00:00+00:00", "TXN_1"),
            "orderBy": "AMOUNT_ASC",
        },
        "INVALID_INPUT",
    ),
    "a cursor that is a number": ({"after": "NQ=="}, "INVALID_INPUT"),
    "an order that does not exist": ({"orderBy": "NAME"}, "BAD_USER_INPUT"),
}


@both_languages
@pytest.mark.parametrize(("given", "code"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_a_page_that_does_not_exist_is_refused(
    api: Api, sandbox: Sandbox, given: dict[str, Any], code: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(PAGE, given, token=api.token("NV002"), language=language)
    check_top(answer, code, language)


@pytest.mark.parametrize(
    "filter",
    [
        {"createdFrom": "2026-01-01T00:00:00"},
        {"search": "nul\u0000"},
        {"contractNumber": "nul\u0000"},
        {"gatewayReference": "nul\u0000"},
        {"staffId": "nul\u0000"},
    ],
    ids=repr,
)
def test_a_filter_that_fits_nothing_is_no_fault_of_ours(api: Api, filter: dict[str, Any]) -> None:
    answer = api.ask(PAGE, {"filter": filter}, token=api.token("NV002"))
    codes = {one["extensions"]["code"] for one in answer.get("errors", [])}
    assert codes <= {"BAD_USER_INPUT"}, answer


WITH_NUL: dict[str, str] = {
    "payment": '{ payment(id: "TXN\\u0000") { id } }',
    "limits": '{ limits(staffId: "N\\u0000") { kind } }',
    "verify": 'mutation { verifyPayment(id: "T\\u0000") { errors { code } } }',
    "cancel": 'mutation { cancelPayment(id: "T\\u0000", reason: "why") { errors { code } } }',
    "cursor": f'{{ payments(after: "{_cursor("CREATED_DESC", "2026-01-01T00:00:00+00:00", "T" + chr(0))}") {{ totalCount }} }}',
}


@pytest.mark.parametrize("document", WITH_NUL.values(), ids=WITH_NUL)
def test_a_character_that_no_text_may_hold_is_bad_input(api: Api, document: str) -> None:
    check_top(api.ask(document, token=api.token("SV001")), "BAD_USER_INPUT")


UNKNOWN: dict[str, str] = {
    "a payment": f'{{ payment(id: "TXN_UNKNOWN") {{ {PAYMENT} }} }}',
    "a customer": '{ customer(contractNumber: "SGFDN9") { name } }',
    "a customer by a path": '{ customer(contractNumber: "../../staff") { name } }',
    "a bill": '{ bill(contractNumber: "SGFDN1015", billNumber: "U0") { amount } }',
    "another contract's bill": f'{{ bill(contractNumber: "SGFDN2001", billNumber: "{BILL}") {{ amount }} }}',
    "a member of staff": '{ limits(staffId: "NOBODY") { kind } }',
}


@both_languages
@pytest.mark.parametrize("document", UNKNOWN.values(), ids=UNKNOWN)
def test_what_does_not_exist_is_not_found(
    api: Api, sandbox: Sandbox, document: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=0):
        answer = api.ask(document, token=api.token("SV001"), language=language)
    check_top(answer, "NOT_FOUND", language)


def check_top(answer: dict[str, Any], code: str, language: str = "vi") -> None:
    codes = [one["extensions"]["code"] for one in answer["errors"]]
    assert codes, answer
    assert set(codes) == {code}, answer
    if code not in {"BAD_USER_INPUT"}:
        check_sentence(answer["errors"][0]["message"], language)


def test_every_code_that_a_payment_can_end_in_was_tried(
    api: Api, request: pytest.FixtureRequest
) -> None:
    """What is left out is written down: a new code belongs into a test here."""
    tried = {code for _, code, _ in BAD_INPUT.values()} | {
        "PAYMENT_LIMIT_EXCEEDED", "BILL_LOCKED", "BILL_ALREADY_PAID", "IDEMPOTENCY_KEY_REUSED",
        "UPSTREAM_UNAVAILABLE", "TRANSITION_REFUSED", "INVALID_CREDENTIALS", "GATEWAY_UNAVAILABLE",
    }  # fmt: skip
    elsewhere = {"IDEMPOTENCY_IN_PROGRESS", "NOT_PERMITTED"}
    published = api.get('{ __type(name: "RefusalCode") { enumValues { name } } }')
    assert {one["name"] for one in published["enumValues"]} == tried | elsewhere
