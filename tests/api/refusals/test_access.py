"""Who may do what: every operation by every role, with its own and with others' data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from schema.root import schema
from tests.support.gateways.calls import call, handled_call, ipn
from tests.support.gateways.calls import signed as signed_call
from tests.support.requests.access import CODES, DOCUMENTS, cells
from tests.support.requests.cases import SUSPICION
from tests.support.requests.orders import created, merchant_token
from tests.support.running_api import Api, Sandbox, Socket, key, until

pytest_plugins = ["tests.support.running_api"]


@dataclass
class Subject:
    """The payments and the hand-in of one member of staff, as the operations need them."""

    staff: str
    qrs: Iterator[dict[str, Any]]
    paid: dict[str, Any]
    hand_in: str
    held: dict[str, Any]
    handed_in: dict[str, Any]


@pytest.fixture(scope="module")
def subjects(api: Api) -> dict[str, Subject]:
    def of(staff: str) -> Subject:
        def qrs() -> Iterator[dict[str, Any]]:
            while True:
                yield api.new_payment(staff, method="VNPAY_QR")

        token = api.token(staff)
        cash = api.new_payment(staff)
        given = {"idempotencyKey": key(), "countedAmount": 1}
        handed = api.get(DOCUMENTS["submitHandIn"], {"input": given}, token=token)["handIn"]
        held = next(qrs())
        assert call(api, signed_call(ipn(held, **SUSPICION))) == "00"
        return Subject(staff, qrs(), api.new_payment(staff), handed["id"], held, cash)

    other = api.collector()
    return {"own": of("NV002"), "other": of(other), "-": of("NV002")}


def token_of(api: Api, actor: str, *, fresh: bool = False) -> str | None:
    if actor == "nobody":
        return None
    if actor == "dashboard":
        return api.service_token()
    return api.login(actor)["accessToken"] if fresh else api.token(actor)


@pytest.mark.parametrize(
    ("operation", "subject", "actor", "expected"),
    [item for item in cells() if item[0] not in {"paymentChanged"}],
)
def test_each_actor_may_do_what_the_table_shows(
    api: Api, subjects: dict[str, Subject], operation: str, subject: str, actor: str, expected: str
) -> None:
    about = subjects[subject]
    token = token_of(api, actor, fresh=operation == "logout")
    variables = given(api, operation, about)
    if operation in {"paymentStatus", "limitChanged"}:
        answer = first_event(api, DOCUMENTS[operation], variables, token)
    else:
        answer = api.execute(DOCUMENTS[operation], variables, token=token)
    if operation == "cases" and answer["data"]:
        edges = answer["data"]["cases"]["edges"]
        held = [edge for edge in edges if edge["node"]["paymentId"] == about.held["id"]]
        answer["data"]["cases"]["edges"] = held
    assert outcome(answer) == expected, answer


def given(api: Api, operation: str, about: Subject) -> dict[str, Any]:
    match operation:
        case "processPayment":
            contract = api.contract()
            return {
                "input": {
                    "idempotencyKey": key(),
                    "contractNumber": contract,
                    "method": "CASH",
                    "items": api.owed(contract)[:1],
                }
            }
        case "verifyPayment" | "cancelPayment":
            return {"id": next(about.qrs)["id"]}
        case "voidCashPayment":
            return {"id": api.new_payment(about.staff)["id"], "key": key()}
        case "refundPayment":
            refund = {"paymentId": about.handed_in["id"], "amount": 1, "reason": "mistake"}
            return {"input": refund | {"idempotencyKey": key()}}
        case "resolveCase":
            sql = "select id from money_case where payment = $1"
            case = api.rows(sql, about.held["id"])[0]["id"]
            given = {"caseId": case, "decision": "CLOSE", "reason": "nothing came"}
            return {"input": given}
        case "payment" | "paymentStatus":
            return {"id": about.paid["id"]}
        case "payments":
            return {"contract": about.paid["contractNumber"]}
        case "submitHandIn":
            for staff in ("NV001", "NV002", "SV001"):  # each actor has cash in hand
                api.new_payment(staff)
            return {"input": {"idempotencyKey": key(), "countedAmount": 1}}
        case "confirmHandIn":
            return {"id": about.hand_in}
        case "limits" | "handIns" | "dayClose":
            return {"staff": about.staff}
        case "replayWebhook":
            return {"id": handled_call(api)}
        case "createOrder":
            return {"input": {"idempotencyKey": key(), "reference": key(), "amount": 1000}}
        case "payOrder":
            order = {"orderId": "ORD_none", "amount": 1000, "method": "VNPAY_QR"}
            return {"input": {"idempotencyKey": key()} | order}
        case "order":
            return {"id": created(api, merchant_token(api))["order"]["id"]}
        case "refreshSession":
            return {"refresh": api.login("AU001")["refreshToken"]}
        case _:
            return {}


def outcome(answer: dict[str, Any]) -> str:
    """Return the table's cell for an answer; a page without the payment counts as 404."""
    if errors := answer.get("errors"):
        return CODES[errors[0]["extensions"]["code"]]
    value = next(iter(answer["data"].values()))
    if isinstance(value, dict) and value.get("errors"):
        return CODES[value["errors"][0]["code"]]
    if isinstance(value, dict) and value.get("edges") == []:
        return "404"
    return "yes"


def test_the_table_names_every_operation_of_the_schema() -> None:
    core = schema._schema
    served = {
        name
        for root in (core.query_type, core.mutation_type, core.subscription_type)
        if root
        for name in root.fields
    }
    assert {operation for operation, *_ in cells()} == served
    assert set(DOCUMENTS) == served


# ── over the socket ──────────────────────────────────────────────────────────────────────────────


def first_event(
    api: Api, document: str, variables: dict[str, Any], token: str | None
) -> dict[str, Any]:
    """Return the first event of a subscription in the form of an answer."""
    if token is None:
        with pytest.raises(Exception, match=r"4403|4401"), Socket(api, None) as socket:
            socket.next()
        return {"errors": [{"extensions": {"code": "UNAUTHENTICATED"}}]}
    with Socket(api, token) as socket:
        socket.subscribe(document, variables)
        message = socket.next()
        if message["type"] == "error":
            return {"errors": message["payload"]}
        assert message["type"] == "next"
        return message["payload"]


@pytest.mark.parametrize(
    ("actor", "sees_own", "sees_other"),
    [
        (actor, own == "yes", other == "yes")
        for (_, _, actor, own), (_, _, _, other) in zip(
            [item for item in cells() if item[:2] == ("paymentChanged", "own")],
            [item for item in cells() if item[:2] == ("paymentChanged", "other")],
            strict=True,
        )
        if actor != "nobody"
    ],
)
def test_each_actor_receives_the_changes_that_they_may_see(
    api: Api, subjects: dict[str, Subject], actor: str, sees_own: bool, sees_other: bool
) -> None:
    everything = "subscription { paymentChanged { id staff { staffId } } }"
    with Socket(api, token_of(api, actor)) as socket:
        socket.subscribe(everything, {})
        socket.send(type="ping")
        assert socket.next()["type"] == "pong"
        _listens(api, actor)
        expected = set()
        for seen, subject in ((sees_other, "other"), (sees_own, "own")):
            paid = api.new_payment(subjects[subject].staff)
            if seen:
                expected.add(paid["id"])
        marker = _own_payment_or_last(api, actor)
        if marker:
            expected.add(marker)
        found: set[str] = set()
        while expected - found:
            found.add(socket.next()["payload"]["data"]["paymentChanged"]["id"])
        assert found == expected


def _listens(api: Api, actor: str) -> None:
    """Wait until the API watches payments; earlier changes are not sent."""
    until(lambda: bool(api.context.hub.watched("payments")), why="the API watches no payments")


def _own_payment_or_last(api: Api, actor: str) -> str | None:
    """Add a last payment that the actor sees; all earlier changes arrive before it."""
    return api.new_payment(actor)["id"] if actor in {"NV001", "NV002", "SV001"} else None


def test_a_role_without_the_permission_collects_nothing(api: Api, sandbox: Sandbox) -> None:
    by = api.collector()
    sandbox.change_staff(by, permissions=["reason_management"])
    contract = api.contract()
    request = {"idempotencyKey": key(), "contractNumber": contract, "method": "CASH"}
    answer = api.execute(
        DOCUMENTS["processPayment"],
        {"input": request | {"items": api.owed(contract)[:1]}},
        token=api.token(by),
    )
    assert outcome(answer) == "403"
