"""Every spelling of the number of a contract, bill, fee or phone means the same number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import without_effect
from tests.support.requests.spelling import found, spelled, wide
from tests.support.running_api import LOGIN, PROCESS, Api, Sandbox, Socket, key, until

pytest_plugins = ["tests.support.running_api"]

CUSTOMER = """
query ($contract: ID!) { customer(contractNumber: $contract) {
  contractNumber bills { billNumber } fees { feeId } debt { totalDebt }
  paymentHistory { transactionId } } }
"""
BILLS = "query ($contract: ID!) { bills(contractNumber: $contract) { billNumber } }"
BILL = """
query ($contract: ID!, $bill: ID!) {
  bill(contractNumber: $contract, billNumber: $bill) { billNumber } }
"""
CHANGED = """
subscription ($filter: PaymentFilter) { paymentChanged(filter: $filter) { id status } }
"""


@spelled
def test_every_system_receives_the_contract_number_in_its_own_form(
    api: Api, sandbox: Sandbox, spell: Any
) -> None:
    contract, token, last = api.contract(), api.token("SV001"), sandbox.last_request
    customer = api.get(CUSTOMER, {"contract": spell(contract)}, token=token)
    assert customer["contractNumber"] == contract
    assert customer["debt"]["totalDebt"] > 0
    bill = customer["bills"][0]["billNumber"]
    assert {"billNumber": bill} in api.get(BILLS, {"contract": spell(contract)}, token=token)
    variables = {"contract": spell(contract), "bill": spell(bill)}
    assert api.get(BILL, variables, token=token) == {"billNumber": bill}
    sent = sandbox.requests(since=last)
    assert {call["path"].rsplit("/", 1)[1] for call in sent} == {contract}
    paths = [call["path"] for call in sent if call["system"] == "customer"]
    assert paths == [f"/api/customers/{contract}"], "the memory knows it by one name"


def request(api: Api, contract: str, **but: Any) -> dict[str, Any]:
    items = api.owed(contract)[:1]
    return {
        "idempotencyKey": key(),
        "contractNumber": contract,
        "method": "CASH",
        "items": items,
        "customerPhone": "0987654321",
    } | but


def respelled(given: dict[str, Any], spell: Any) -> dict[str, Any]:
    items = [item | {"id": spell(item["id"])} for item in given["items"]]
    phone = spell(given["customerPhone"])
    contract = spell(given["contractNumber"])
    return given | {"contractNumber": contract, "items": items, "customerPhone": phone}


@spelled
def test_two_spellings_of_a_request_are_one_request(api: Api, sandbox: Sandbox, spell: Any) -> None:
    staff_id, contract = api.collector(), api.contract()
    given = request(api, contract)
    token, last = api.token(staff_id), sandbox.last_request
    first = api.get(PROCESS, {"input": respelled(given, spell)}, token=token)
    assert first["errors"] == []
    payment = first["payment"]
    assert payment["contractNumber"] == contract
    assert payment["items"] == given["items"]
    again = api.get(PROCESS, {"input": given}, token=token)
    assert (again["replayed"], again["payment"]["id"]) == (True, payment["id"])
    (row,) = api.rows(
        "select notify ->> 'phone' as phone from payment where id = $1", payment["id"]
    )
    assert row["phone"] == "0987654321"
    calls = sandbox.requests(since=last)
    paths = {call["path"] for call in calls if call["method"] == "GET"}
    assert {path.rsplit("/", 1)[1] for path in paths} <= {contract, staff_id}
    (held,) = api.rows(
        "select count(*), sum(amount) as amount from payment"
        " where staff = $1 and custody = 'HELD_BY_STAFF'",
        staff_id,
    )
    assert (held["count"], held["amount"]) == (1, payment["amount"])


@spelled
def test_a_bill_that_was_paid_is_paid_under_every_spelling(
    api: Api, sandbox: Sandbox, spell: Any
) -> None:
    contract = api.contract()
    given = request(api, contract)
    by = api.collector()
    api.token(by)
    api.new_payment(by, **given)
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment(by, **respelled(given, spell) | {"idempotencyKey": key()})
    assert [refusal["code"] for refusal in payload["errors"]] == ["BILL_ALREADY_PAID"]
    assert payload["errors"][0]["billNumber"] == given["items"][0]["id"]


def test_a_fee_is_one_fee_in_any_case(api: Api) -> None:
    fee = {"type": "FEE", "id": "fee_sgfdn1015 ", "amount": 300_000}
    paid = api.new_payment("NV002", contractNumber="sgfdn1015", items=[fee])
    assert paid["items"] == [fee | {"id": "FEE_SGFDN1015"}]


def test_an_item_in_two_spellings_is_a_duplicate(api: Api, sandbox: Sandbox) -> None:
    given = request(api, api.contract())
    (item,) = given["items"]
    given["items"] = [item, item | {"id": f"{item['id'].lower()} "}]
    api.token("NV002")
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment("NV002", **given)
    (refused,) = payload["errors"]
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "items.1.id")


@spelled
def test_a_payment_is_found_by_every_spelling_of_its_contract(api: Api, spell: Any) -> None:
    contract = api.contract()
    paid = api.new_payment("NV002", contractNumber=contract)
    assert found(api, contractNumber=spell(contract)) == [paid["id"]]
    assert found(api, search=spell(contract)) == [paid["id"]]


@pytest.mark.parametrize("by", ["contractNumber", "staffId", "search"])
def test_a_watcher_by_another_spelling_receives_the_change(api: Api, by: str) -> None:
    staff_id, contract = api.collector(), api.contract()
    api.token(staff_id)
    value = staff_id if by == "staffId" else contract
    wanted = {by: f" {wide(value.lower())}\u200b", "status": ["SUCCESS"]}
    with Socket(api, api.token("FI001")) as socket:
        socket.subscribe(CHANGED, {"filter": wanted})
        socket.send(type="ping")
        assert socket.next()["type"] == "pong"
        until(lambda: bool(api.context.hub.watched("payments")), why="the API watches no payments")
        paid = api.new_payment(staff_id, contractNumber=contract)
        changed = socket.next()["payload"]["data"]["paymentChanged"]
    assert changed == {"id": paid["id"], "status": "SUCCESS"}


def test_a_card_number_with_invisible_letters_is_refused(api: Api, sandbox: Sandbox) -> None:
    api.token("SV001")
    for number in (
        "4111\u200b1111\u200b1111\u200b1111",
        "4\u00ad111111111111111",
        wide("4111111111111111"),
    ):
        with without_effect(api, sandbox, audit=0):
            answer = api.execute(CUSTOMER, {"contract": number}, token=api.token("SV001"))
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
        staff = {"input": {"staffId": number, "password": "x"}}
        answer = api.execute(LOGIN, staff)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
