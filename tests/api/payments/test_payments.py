"""The list of payments: pages, totals, filters, and its subscription."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.running_api import Api, Socket, statements, until

pytest_plugins = ["tests.support.running_api"]

PAGE = """
query (
  $filter: PaymentFilter, $first: Int, $after: String, $last: Int, $before: String
  $orderBy: PaymentOrder
) {
  payments(
    filter: $filter, first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy
  ) {
    edges { cursor node {
      id version status method amount currency contractNumber customerName
      staff { staffId name } order { id } gateway gatewayReference needsVerification holdReason
      custody createdAt updatedAt completedAt items { id }
    } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }
"""
TOTALS = PAGE.replace("edges {", "totals { count amount exact } totalCount totalAmount edges {", 1)
CUSTOMER = """
query ($contract: ID!) { customer(contractNumber: $contract) {
  name bills { billNumber status lock { paymentId heldBy } } fees { feeId lock { paymentId } }
  totalOutstanding debt { totalDebt } paymentHistory { amount } } }
"""


@pytest.fixture(scope="module")
def collector(api: Api) -> str:
    return api.collector()


@pytest.fixture(scope="module")
def payments(api: Api, collector: str) -> list[dict[str, Any]]:
    """Return twelve payments of one collector, oldest first; every second is a QR."""
    return [api.new_payment(collector, method="VNPAY_QR" if n % 2 else "CASH") for n in range(12)]


@pytest.fixture
def query(api: Api, collector: str, payments: list[dict[str, Any]]) -> Any:
    def query(document: str = PAGE, **given: Any) -> Any:
        return api.get(document, given, token=api.token(collector))

    return query


def ids(page: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in page["edges"]]


@pytest.mark.parametrize("order", ["CREATED_DESC", "CREATED_ASC", "AMOUNT_DESC", "AMOUNT_ASC"])
def test_the_pages_of_each_sort_order_contain_each_payment_once(
    query: Any, payments: list[dict[str, Any]], order: str
) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = query(first=5, after=after, orderBy=order)
        seen += ids(page)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(seen) == sorted(item["id"] for item in payments)
    if order == "CREATED_ASC":
        assert seen == [item["id"] for item in payments]


@pytest.mark.parametrize("order", ["CREATED_DESC", "AMOUNT_ASC"])
def test_a_list_can_be_read_from_its_end(query: Any, order: str) -> None:
    whole = query(first=50, orderBy=order)
    cursors = [edge["cursor"] for edge in whole["edges"]]
    page = query(last=5, orderBy=order)
    assert page["edges"] == whole["edges"][-5:]
    assert page["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": cursors[-5],
        "endCursor": cursors[-1],
    }
    previous = query(last=5, before=page["pageInfo"]["startCursor"], orderBy=order)
    assert previous["edges"] == whole["edges"][-10:-5]
    assert previous["pageInfo"]["hasNextPage"]
    top = query(last=5, before=previous["pageInfo"]["startCursor"], orderBy=order)
    assert top["edges"] == whole["edges"][-15:-10]
    assert not top["pageInfo"]["hasPreviousPage"]
    assert query(first=3, after=cursors[0], orderBy=order)["pageInfo"]["hasPreviousPage"]
    between = query(first=50, after=cursors[1], before=cursors[4], orderBy=order)
    assert between["edges"] == whole["edges"][2:4]
    assert between["pageInfo"]["hasNextPage"]
    empty = query(last=5, before=cursors[0], orderBy=order)
    assert empty["edges"] == []
    assert empty["pageInfo"]["startCursor"] is empty["pageInfo"]["endCursor"] is None


def test_first_and_last_together_are_refused(api: Api, collector: str) -> None:
    answer = api.execute(PAGE, {"first": 5, "last": 5}, token=api.token(collector))
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["message"].startswith("last")


def test_the_newest_come_first_by_default(query: Any, payments: list[dict[str, Any]]) -> None:
    assert ids(query()) == [item["id"] for item in reversed(payments)]
    assert ids(query(first=None, orderBy=None, filter=None)) == ids(query())


def test_the_totals_cover_all_results_and_not_only_the_page(
    query: Any, payments: list[dict[str, Any]]
) -> None:
    page = query(TOTALS, first=2)
    amount = sum(item["amount"] for item in payments)
    assert page["totalCount"] == 12
    assert page["totalAmount"] == amount
    assert page["totals"] == {"count": 12, "amount": amount, "exact": True}
    assert len(page["edges"]) == 2


@pytest.mark.parametrize(("most", "is_exact"), [(12, True), (11, False), (1, False)])
def test_beyond_their_bound_the_totals_are_inexact_and_have_no_amount(
    query: Any, monkeypatch: pytest.MonkeyPatch, most: int, is_exact: bool
) -> None:
    monkeypatch.setattr("db.payments.MAX_COUNTED", most)
    page = query(TOTALS, first=2)
    assert page["totals"]["count"] == page["totalCount"] == most
    assert page["totals"]["exact"] is is_exact
    assert (page["totals"]["amount"] is None, page["totalAmount"] is None) == (
        not is_exact,
        not is_exact,
    )
    assert len(page["edges"]) == 2


def test_a_page_can_start_after_any_edge(query: Any) -> None:
    page = query(first=5)
    behind = query(first=50, after=page["edges"][2]["cursor"])
    assert ids(behind)[:2] == ids(page)[3:]


@pytest.mark.parametrize(
    ("filter", "chosen"),
    [
        ({"status": ["SUCCESS"]}, lambda item: item["status"] == "SUCCESS"),
        ({"status": "SUCCESS"}, lambda item: item["status"] == "SUCCESS"),
        ({"method": "VNPAY_QR"}, lambda item: item["method"] == "VNPAY_QR"),
        ({"method": ["VNPAY_QR", "CASH"]}, lambda _: True),
        ({"custody": "HELD_BY_STAFF"}, lambda item: item["method"] == "CASH"),
        ({"status": "SUCCESS", "method": "VNPAY_QR"}, lambda _: False),
        ({"needsVerification": True}, lambda item: item["needsVerification"]),
        ({"minAmount": 400_000}, lambda item: item["amount"] >= 400_000),
        ({"maxAmount": 400_000}, lambda item: item["amount"] <= 400_000),
        ({"staffId": "NV002"}, lambda _: False),
        ({"search": "khong ai ten the"}, lambda _: False),
        ({"createdFrom": "2100-01-01T00:00:00Z"}, lambda _: False),
        ({"createdTo": "2100-01-01T00:00:00Z"}, lambda _: True),
        ({}, lambda _: True),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_filter_finds_exactly_the_payments_that_match(
    query: Any, payments: list[dict[str, Any]], filter: dict[str, Any], chosen: Any
) -> None:
    assert sorted(ids(query(filter=filter))) == sorted(
        item["id"] for item in payments if chosen(item)
    )


def test_a_payment_is_found_by_each_of_its_names(
    query: Any, payments: list[dict[str, Any]]
) -> None:
    qr = payments[1]
    for named in (qr["id"], qr["contractNumber"], qr["gatewayReference"]):
        assert ids(query(filter={"search": named})) == [qr["id"]]
    assert ids(query(filter={"gatewayReference": qr["gatewayReference"]})) == [qr["id"]]
    assert ids(query(filter={"contractNumber": qr["contractNumber"]})) == [qr["id"]]


def with_marks(name: str) -> str:
    """Return *name* with decomposed marks, đ for d, no-break spaces and the other case."""
    marked = "".join(each + "\u0302\u0301" if each in "aeiou" else each for each in name)
    return marked.replace("D", "Đ").replace("d", "đ").replace(" ", "\u00a0\u202f").swapcase()


def test_a_name_is_found_however_it_is_typed(query: Any, payments: list[dict[str, Any]]) -> None:
    name = query(first=1)["edges"][0]["node"]["customerName"]
    page = query(TOTALS, filter={"search": with_marks(name)}, first=50)
    assert {edge["node"]["customerName"] for edge in page["edges"]} == {name}
    assert page["totalCount"] == len(page["edges"])
    assert payments[-1]["id"] in ids(page)


def test_a_subscription_matches_a_name_however_it_is_typed(api: Api) -> None:
    by, contract = api.collector(), api.contract()
    customer = api.get(CUSTOMER, {"contract": contract}, token=api.token(by))
    changes = "subscription ($filter: PaymentFilter) { paymentChanged(filter: $filter) { id } }"
    wanted = {"staffId": by, "search": with_marks(customer["name"])}
    with Socket(api, api.token(by)) as socket:
        socket.subscribe(changes, {"filter": wanted})
        until(lambda: bool(api.context.hub.watched("payments")), why="the API watches no payments")
        payment = api.new_payment(by, contractNumber=contract)
        assert socket.next()["payload"]["data"]["paymentChanged"] == {"id": payment["id"]}


# ── statements ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("late_looks_are_trusted")
@pytest.mark.parametrize(("document", "more"), [(PAGE, 0), (TOTALS, 1)], ids=["page", "totals"])
@pytest.mark.parametrize("first", [1, 12])
def test_a_page_costs_one_statement_and_its_totals_one_more(
    query: Any, document: str, more: int, first: int
) -> None:
    query(document, first=first)
    with statements() as sent:
        assert len(query(document, first=first)["edges"]) == first
    assert len(sent) == 1 + more, sent.seen


@pytest.mark.usefixtures("late_looks_are_trusted")
def test_a_customer_costs_one_statement_however_many_bills_they_have(api: Api) -> None:
    by_bills: dict[int, int] = {}
    token = api.token("NV002")
    for _ in range(12):
        given = {"contract": api.contract()}
        bills = len(api.get(CUSTOMER, given, token=token)["bills"])
        with statements() as sent:
            api.get(CUSTOMER, given, token=token)
        by_bills[bills] = len(sent)
    assert len(by_bills) > 2
    assert set(by_bills.values()) == {1}


def test_a_bill_in_collection_is_shown_locked_and_a_paid_one_paid(api: Api) -> None:
    qr, cash = api.new_payment(method="VNPAY_QR"), api.new_payment()
    token = api.token("NV002")
    held = api.get(CUSTOMER, {"contract": qr["contractNumber"]}, token=token)
    lock = next(
        bill["lock"] for bill in held["bills"] if bill["billNumber"] == qr["items"][0]["id"]
    )
    assert lock == {"paymentId": qr["id"], "heldBy": "Le Van Cuong"}
    paid = api.get(CUSTOMER, {"contract": cash["contractNumber"]}, token=token)
    found = next(bill for bill in paid["bills"] if bill["billNumber"] == cash["items"][0]["id"])
    assert (found["status"], found["lock"]) == ("PAID", None)
