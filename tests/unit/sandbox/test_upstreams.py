"""Revenue, Customer, Staff and Debt follow their contracts and do nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

BILL = {"type": "bill", "id": "U23SG0073526", "amount": 200_000}
FEE = {"type": "fee", "id": "FEE_SGFDN1015", "amount": 300_000}


def record(transaction_id: str = "TXN_1", *items: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "contract_number": "SGFDN1015",
        "method": "cash",
        "paid_at": "2025-07-29T10:15:00Z",
        "items": list(items) or [BILL],
        "staff_id": "NV001",
    } | changes


def reversal(amount: int = 200_000, id: str = "REV_1", **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": "TXN_1",
        "reversal_id": id,
        "kind": "void",
        "amount": amount,
        "reason": "nhầm hợp đồng",
    } | changes


def code(response: httpx.Response) -> str:
    return response.json()["error"]["code"]


def status_of_the_bill(revenue: Any) -> str:
    return revenue.get("/api/bills/SGFDN1015").json()["bills"][0]["status"]


@pytest.mark.parametrize("name", ["revenue", "customer", "staff", "debt", "hifpt", "sms"])
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "guessed"}])
def test_a_request_without_the_key_is_401(
    sandbox: httpx.Client, name: str, headers: dict[str, str]
) -> None:
    assert sandbox.get(f"/{name}/api/anything", headers=headers).status_code == 401


def test_the_fixed_contract_owes_a_bill_and_a_fee(ask: Any) -> None:
    assert ask("revenue").get("/api/bills/SGFDN1015").json() == {
        "contract_number": "SGFDN1015",
        "bills": [
            {
                "bill_number": "U23SG0073526",
                "period_from": "2025-06-01",
                "period_to": "2025-06-30",
                "amount": 200_000,
                "content": "Cước Internet 2025-06",
                "issue_date": "2025-07-01",
                "status": "unpaid",
            }
        ],
    }
    fees = ask("revenue").get("/api/fees/SGFDN1015").json()["fees"]
    assert [(fee["fee_id"], fee["amount"]) for fee in fees] == [("FEE_SGFDN1015", 300_000)]
    debt = ask("debt").get("/api/debts/SGFDN1015").json()
    assert (debt["total_debt"], debt["overdue_months"]) == (500_000, 1)
    customer = ask("customer").get("/api/customers/SGFDN1015").json()
    assert customer["name"] == "Nguyen Van A"
    assert customer["phone_numbers"] == [
        {"number": "0987654321", "type": "primary", "has_hifpt": True, "is_messaging": True}
    ]


def test_generated_contracts_are_as_documented(ask: Any) -> None:
    mobiles: set[str] = set()
    for serial in range(0, 10_000, 39):
        contract = f"SGFDN{2000 + serial}"
        customer = ask("customer").get(f"/api/customers/{contract}").json()
        assert (customer["contract_status"] == "terminated") is (serial % 40 == 39)
        mobiles.add(customer["phone_numbers"][0]["number"])
        if serial % 10 == 0:
            bills = ask("revenue").get(f"/api/bills/{contract}").json()["bills"]
            assert 1 <= len(bills) <= 6
            assert all(50_000 <= bill["amount"] <= 900_000 for bill in bills)
            debt = ask("debt").get(f"/api/debts/{contract}").json()
            assert debt["total_debt"] == sum(bill["amount"] for bill in bills)
            assert debt["overdue_months"] == len(bills)
    assert len(mobiles) == len(range(0, 10_000, 39))


@pytest.mark.parametrize(
    "contract", ["SGFDN1016", "SGFDN1999", "SGFDN12000", "SGFDN02000", "SGFDN", "X", "SGFDN²"]
)
def test_other_contracts_do_not_exist(ask: Any, contract: str) -> None:
    for name, path in (("revenue", "bills"), ("customer", "customers"), ("debt", "debts")):
        assert ask(name).get(f"/api/{path}/{contract}").status_code == 404


def test_staff_log_in_with_their_password_only(ask: Any) -> None:
    staff = ask("staff")
    login = {"staff_id": "NV001", "password": "mobinetNV001"}
    person = staff.post("/api/staff/authenticate", login).json()
    token = person.pop("fpt_pay_token")
    assert token == staff.post("/api/staff/authenticate", login).json()["fpt_pay_token"]
    assert person == staff.get("/api/staff/NV001").json()
    assert (person["role"], person["team"]) == ("TIN_PNC", "HCM1")
    assert person["payment_limits"] == {
        "daily_limit": 10_000_000,
        "per_transaction_limit": 5_000_000,
        "used_today": 2_000_000,
    }
    for wrong in ({"password": "mobinet"}, {"staff_id": "NV999"}, {"password": ""}):
        assert staff.post("/api/staff/authenticate", login | wrong).status_code == 401
    collector = staff.get("/api/staff/NV1427").json()
    assert (collector["team"], collector["payment_limits"]["daily_limit"]) == ("T07", 10**10)
    assert staff.get("/api/staff/NV2000").status_code == 404


def test_staff_and_contracts_change_by_order(sandbox: httpx.Client, ask: Any) -> None:
    change: Any = {"staff_id": "NV001", "used_today": 9_000_000, "permissions": []}
    assert sandbox.post("/_sandbox/staff", json=change).status_code == 200
    sandbox.post("/_sandbox/staff", json={"staff_id": "NV001", "role": "AUDITOR"})
    person = ask("staff").get("/api/staff/NV001").json()
    assert (person["role"], person["permissions"]) == ("AUDITOR", [])
    assert person["payment_limits"]["used_today"] == 9_000_000
    assert person["payment_limits"]["daily_limit"] == 10_000_000
    change = {"contract_number": "SGFDN2000", "status": "suspended"}
    assert sandbox.post("/_sandbox/contracts", json=change).status_code == 200
    customer = ask("customer").get("/api/customers/SGFDN2000").json()
    assert customer["contract_status"] == "suspended"
    assert sandbox.post("/_sandbox/staff", json={"staff_id": "NV999"}).status_code == 404
    sandbox.post("/_sandbox/reset", json={"data": True})
    customer = ask("customer").get("/api/customers/SGFDN2000").json()
    assert customer["contract_status"] == "active"
    assert ask("staff").get("/api/staff/NV001").json()["role"] == "TIN_PNC"


def test_a_recorded_payment_pays_its_items_once(ask: Any, truth: Any) -> None:
    revenue = ask("revenue")
    first = revenue.post("/api/payments/record", record(), "TXN_1")
    assert first.status_code == 201
    again = revenue.post("/api/payments/record", record(), "TXN_1")
    assert (again.status_code, again.content) == (201, first.content)
    other_key = revenue.post("/api/payments/record", record(), "another-key")
    assert other_key.status_code == 200
    assert status_of_the_bill(revenue) == "paid"
    history = revenue.get("/api/payment-history/SGFDN1015").json()["payments"]
    assert [(line["transaction_id"], line["amount"]) for line in history] == [("TXN_1", 200_000)]
    [stored] = truth()["records"]
    assert (stored["transaction_id"], stored["times"], stored["items"]) == ("TXN_1", 1, [BILL])
    assert truth()["conflicts"] == []


def test_a_second_record_of_a_bill_is_refused_and_listed_as_a_conflict(
    ask: Any, truth: Any
) -> None:
    revenue = ask("revenue")
    revenue.post("/api/payments/record", record("TXN_1"), "TXN_1")
    for _ in range(2):
        second = revenue.post("/api/payments/record", record("TXN_2", FEE, BILL), "TXN_2")
        assert (second.status_code, code(second)) == (409, "ALREADY_PAID")
        assert second.json()["error"]["details"]["transaction_id"] == "TXN_1"
    assert [line["transaction_id"] for line in truth()["records"]] == ["TXN_1"]
    [conflict] = truth()["conflicts"]
    assert (conflict["transaction_id"], conflict["times"]) == ("TXN_2", 2)
    fees = revenue.get("/api/fees/SGFDN1015").json()["fees"]
    assert fees[0]["status"] == "unpaid"


def test_of_many_concurrent_records_of_a_bill_one_succeeds(ask: Any, truth: Any) -> None:
    revenue = ask("revenue")
    together = Barrier(8)

    def try_it(n: int) -> int:
        together.wait(5)
        return revenue.post("/api/payments/record", record(f"TXN_{n}"), f"TXN_{n}").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(try_it, range(8)))
    assert statuses == [201] + [409] * 7
    assert [line["times"] for line in truth()["records"]] == [1]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (record("T", BILL | {"amount": 199_999}), 422, "AMOUNT_MISMATCH"),
        (record("T", BILL | {"amount": "200000"}), 422, "INVALID_INPUT"),
        (record("T", BILL | {"amount": 200_000.5}), 422, "INVALID_INPUT"),
        (record("T", BILL | {"type": "order"}), 422, "INVALID_INPUT"),
        (record("T", BILL | {"type": "fee"}), 404, "ITEM_NOT_FOUND"),
        (record("T", BILL, BILL), 422, "ITEM_REPEATED"),
        (record("T", items=[]), 422, "INVALID_INPUT"),
        (record("T", paid_at="2025-07-29T10:15:00"), 422, "INVALID_INPUT"),
        (record("T", contract_number="SGFDN1"), 404, "NOT_FOUND"),
        (record("T", contract_number="SGFDN2000"), 404, "ITEM_NOT_FOUND"),
    ],
)
def test_an_invalid_payment_is_not_recorded(
    ask: Any, truth: Any, body: Any, status: int, expected: str
) -> None:
    response = ask("revenue").post("/api/payments/record", body, "T")
    assert (response.status_code, code(response)) == (status, expected)
    assert truth()["records"] == []


def test_every_post_needs_a_key_that_means_one_body(ask: Any) -> None:
    revenue = ask("revenue")
    missing = revenue.post("/api/payments/record", record())
    assert (missing.status_code, code(missing)) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    revenue.post("/api/payments/record", record(), "TXN_1")
    reused = revenue.post("/api/payments/record", record("TXN_1", FEE), "TXN_1")
    assert (reused.status_code, code(reused)) == (409, "IDEMPOTENCY_KEY_REUSED")
    for name, path in (
        ("debt", "/api/debts/settle"),
        ("hifpt", "/api/messages"),
        ("sms", "/api/send"),
    ):
        assert ask(name).post(path, {}).status_code == 400


def test_a_refusal_is_not_stored_so_the_same_key_may_succeed_later(ask: Any) -> None:
    revenue = ask("revenue")
    revenue.post("/api/payments/record", record("TXN_1"), "TXN_1")
    assert revenue.post("/api/payments/record", record("TXN_2"), "TXN_2").status_code == 409
    assert revenue.post("/api/payments/reverse", reversal(), "REV_1").status_code == 201
    assert revenue.post("/api/payments/record", record("TXN_2"), "TXN_2").status_code == 201


def test_a_void_opens_the_bill_and_a_partial_refund_does_not(ask: Any, truth: Any) -> None:
    revenue = ask("revenue")
    early = revenue.post("/api/payments/reverse", reversal(), "REV_0")
    assert (early.status_code, code(early)) == (404, "NOT_FOUND")
    revenue.post("/api/payments/record", record(), "TXN_1")
    part = reversal(50_000, kind="REFUND")
    assert revenue.post("/api/payments/reverse", part, "REV_1").status_code == 201
    assert revenue.post("/api/payments/reverse", part, "REV_1").status_code == 201
    assert status_of_the_bill(revenue) == "paid"
    much = revenue.post("/api/payments/reverse", reversal(200_000, "REV_2"), "REV_2")
    assert (much.status_code, code(much)) == (409, "REVERSES_TOO_MUCH")
    revenue.post("/api/payments/reverse", reversal(150_000, "REV_3"), "REV_3")
    assert status_of_the_bill(revenue) == "unpaid"
    assert truth()["records"][0]["reversed"] == 200_000


def test_debt_falls_with_settlements_and_rises_with_reversals(ask: Any, truth: Any) -> None:
    debt = ask("debt")
    settle = {"transaction_id": "TXN_1", "contract_number": "SGFDN1015", "amount": 200_000}
    for _ in range(2):
        response = debt.post("/api/debts/settle", settle, "TXN_1")
        assert (response.status_code, response.json()["total_debt"]) == (201, 300_000)
    too_much = {"transaction_id": "TXN_2", "contract_number": "SGFDN1015", "amount": 300_001}
    response = debt.post("/api/debts/settle", too_much, "TXN_2")
    assert (response.status_code, code(response)) == (409, "EXCEEDS_DEBT")
    assert [row["times"] for row in truth()["debts"]] == [1]
    assert truth()["conflicts"][0]["system"] == "debt"
    assert debt.post("/api/debts/unsettle", reversal(), "REV_1").json()["total_debt"] == 500_000
    assert debt.post("/api/debts/unsettle", reversal(1, "REV_2"), "REV_2").status_code == 409
    debt.post("/api/debts/settle", settle | {"transaction_id": "T3", "amount": 500_000}, "T3")
    cleared = debt.get("/api/debts/SGFDN1015").json()
    assert (cleared["total_debt"], cleared["overdue_months"], cleared["status"]) == (0, 0, "clear")


def test_a_reason_is_noted_by_its_code(ask: Any, truth: Any) -> None:
    debt = ask("debt")
    known = debt.get("/api/debts/reasons").json()["reasons"]
    assert {"code": "NOT_HOME", "label": "Khách hàng vắng nhà"} in known
    reason = {
        "contract_number": "SGFDN1015",
        "reason_code": "PROMISED",
        "note": "hẹn thứ sáu",
        "staff_id": "NV001",
        "promised_date": "2025-08-01",
    }
    assert debt.post("/api/debts/reasons", reason, "R1").status_code == 201
    assert debt.post("/api/debts/reasons", reason, "R1").status_code == 201
    unknown = debt.post("/api/debts/reasons", reason | {"reason_code": "WHIM"}, "R2")
    assert (unknown.status_code, code(unknown)) == (422, "UNKNOWN_REASON")
    assert [row["promised_date"] for row in truth()["reasons"]] == ["2025-08-01"]


# ── numbers are trimmed and capitalised, and answered in the system's own spelling ───────────────


def test_a_number_is_normalised_and_answered_in_the_systems_spelling(ask: Any) -> None:
    contract = "%20sgfdn1015%20"
    for name, path in (
        ("customer", "customers"),
        ("revenue", "bills"),
        ("revenue", "fees"),
        ("revenue", "payment-history"),
        ("debt", "debts"),
    ):
        answer = ask(name).get(f"/api/{path}/{contract}").json()
        assert answer["contract_number"] == "SGFDN1015"
    assert ask("staff").get("/api/staff/nv001%20").json()["staff_id"] == "NV001"
    login = {"staff_id": " nv001 ", "password": "mobinetNV001"}
    assert ask("staff").post("/api/staff/authenticate", login).json()["staff_id"] == "NV001"


def test_a_password_is_not_trimmed_or_capitalised(ask: Any) -> None:
    for password in ("mobinetNV001 ", " mobinetNV001", "mobinetnv001"):
        login = {"staff_id": "NV001", "password": password}
        assert ask("staff").post("/api/staff/authenticate", login).status_code == 401


def test_a_bill_in_two_spellings_is_recorded_once(ask: Any) -> None:
    revenue = ask("revenue")
    spelled = BILL | {"id": " u23sg0073526 "}
    both = record("TXN_1", BILL, spelled)
    refused = revenue.post("/api/payments/record", both, key="K1")
    assert (refused.status_code, code(refused)) == (422, "ITEM_REPEATED")
    small = record("TXN_1", spelled, contract_number="sgfdn1015")
    assert revenue.post("/api/payments/record", small, key="K2").status_code == 201
    assert status_of_the_bill(revenue) == "paid"
    other = revenue.post("/api/payments/record", record("TXN_2"), key="K3")
    assert (other.status_code, code(other)) == (409, "ALREADY_PAID")


def test_staff_and_contracts_are_changed_under_any_spelling(
    sandbox: httpx.Client, ask: Any
) -> None:
    sandbox.post("/_sandbox/staff", json={"staff_id": "nv1001", "daily_limit": 7})
    limits = ask("staff").get("/api/staff/NV1001").json()["payment_limits"]
    assert limits["daily_limit"] == 7
    sandbox.post(
        "/_sandbox/contracts", json={"contract_number": "sgfdn2001 ", "status": "suspended"}
    )
    found = ask("customer").get("/api/customers/SGFDN2001").json()
    assert found["contract_status"] == "suspended"
