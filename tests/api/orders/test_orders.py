"""A merchant's orders: created once, paid once, by GraphQL and by the documented REST call."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from resolvers import payment_evidence
from tests.support.requests.cases import of
from tests.support.requests.orders import created, effects, paying, shop
from tests.support.running_api import Api, Sandbox, key, until

pytest_plugins = ["tests.support.running_api"]
__all__ = ["shop"]

ORDER = (
    "query ($id: ID!) { order(id: $id) { id reference status paidAt payments"
    " { id status method } } }"
)


def seen(api: Api, shop: str, order: dict[str, Any]) -> dict[str, Any]:
    return api.get(ORDER, {"id": order["id"]}, token=shop)


def code(payload: dict[str, Any]) -> str:
    (error,) = payload["errors"]
    return error["code"]


def test_an_order_is_paid_by_a_qr(api: Api, sandbox: Sandbox, shop: str) -> None:
    order = created(api, shop)["order"]
    payment = paying(api, shop, order)["payment"]
    assert (payment["status"], payment["contractNumber"], payment["items"]) == (
        "PROCESSING",
        None,
        [],
    )
    assert payment["order"] == {
        "id": order["id"],
        "reference": order["reference"],
        "status": "OPEN",
    }
    sandbox.pay(reference=payment["gatewayReference"], outcome="paid")
    until(lambda: seen(api, shop, order)["status"] == "PAID", why="the webhook did not pay it")
    (paid,) = seen(api, shop, order)["payments"]
    assert paid == {"id": payment["id"], "status": "SUCCESS", "method": "VNPAY_QR"}
    rows = api.rows("select posting_status, staff from payment where id = $1", payment["id"])
    assert [tuple(row) for row in rows] == [("NONE", "shop")]  # orders are not recorded in Revenue


@pytest.mark.invariant(6)
def test_a_reference_is_one_order(api: Api, shop: str) -> None:
    first = created(api, shop)
    again = created(api, shop, reference=first["order"]["reference"])
    assert (again["order"]["id"], again["replayed"]) == (first["order"]["id"], True)
    other = created(api, shop, reference=first["order"]["reference"], amount=120_001)
    assert code(other) == "AMOUNT_MISMATCH"


def test_a_key_is_one_order(api: Api, shop: str) -> None:
    given = {"idempotencyKey": key(), "reference": key()}
    first, again = created(api, shop, **given), created(api, shop, **given)
    assert (first["order"]["id"], again["replayed"]) == (again["order"]["id"], True)
    assert code(created(api, shop, **given | {"reference": key()})) == "IDEMPOTENCY_KEY_REUSED"


def test_one_reference_sent_by_many_at_once_is_one_order(api: Api, shop: str) -> None:
    reference = key()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: created(api, shop, reference=reference), range(16)))
    assert len({item["order"]["id"] for item in found}) == 1
    assert sum(not item["replayed"] for item in found) == 1


@pytest.mark.invariant(6)
def test_an_order_has_one_live_payment(api: Api, shop: str) -> None:
    order = created(api, shop)["order"]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: paying(api, shop, order), range(8)))
    (won,) = [item["payment"] for item in found if item["payment"]]
    lost = [item for item in found if not item["payment"]]
    assert {code(item) for item in lost} == {"BILL_LOCKED"}
    assert {item["errors"][0]["paymentId"] for item in lost} == {won["id"]}


def test_a_paid_order_is_not_paid_again(api: Api, sandbox: Sandbox, shop: str) -> None:
    order = created(api, shop)["order"]
    payment = paying(api, shop, order)["payment"]
    sandbox.pay(reference=payment["gatewayReference"], outcome="paid")
    until(lambda: seen(api, shop, order)["status"] == "PAID", why="the webhook did not pay it")
    before = effects(api)
    assert code(paying(api, shop, order)) == "BILL_ALREADY_PAID"
    assert effects(api) == before


def test_the_same_key_is_the_same_payment(api: Api, shop: str) -> None:
    order, given = created(api, shop)["order"], {"idempotencyKey": key()}
    first, again = paying(api, shop, order, **given), paying(api, shop, order, **given)
    assert (first["payment"]["id"], again["replayed"]) == (again["payment"]["id"], True)


@pytest.mark.parametrize(
    ("but", "expected"),
    [
        ({"method": "CASH"}, "INVALID_INPUT"),
        ({"method": "FPT_PAY"}, "INVALID_INPUT"),
        ({"amount": 1}, "AMOUNT_MISMATCH"),
        ({"amount": 0}, "INVALID_INPUT"),
        ({"orderId": "ORD_none"}, "NOT_FOUND"),
        ({"returnUrl": "javascript:alert(1)"}, "INVALID_INPUT"),
        ({"returnUrl": "//shop.example"}, "INVALID_INPUT"),
        ({"returnUrl": "http://[::1"}, "INVALID_INPUT"),
        ({"returnUrl": "https://shop.example:99999/"}, "INVALID_INPUT"),
        ({"returnUrl": "https://shop.example\\@elsewhere.example/"}, "INVALID_INPUT"),
        ({"returnUrl": "https://shop.example@elsewhere.example/"}, "INVALID_INPUT"),
        ({"idempotencyKey": "short"}, "INVALID_INPUT"),
    ],
)
def test_a_payment_that_does_not_fit_is_refused(
    api: Api, shop: str, but: dict[str, Any], expected: str
) -> None:
    order = created(api, shop)["order"]
    before = effects(api)
    assert code(paying(api, shop, order, **but)) == expected
    assert effects(api) == before


@pytest.mark.parametrize("method", ["VNPAY_QR", "PAYPAL"])
def test_the_refusal_names_the_other_methods_that_can_pay_an_order(
    api: Api, shop: str, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """`payOrder` refuses CASH and FPT_PAY, so the alternatives leave them out."""
    order = created(api, shop)["order"]
    before, known = effects(api), api.context
    if method == "VNPAY_QR":
        monkeypatch.setattr(known.gateways[GatewayName.VNPAY], "ready", lambda: False)
    api.app.state.context = replace(known, terms=replace(known.terms, usd_rate=None))
    try:
        (refused,) = paying(api, shop, order, method=method)["errors"]
    finally:
        api.app.state.context = known
    assert refused["code"] == "GATEWAY_UNAVAILABLE"
    works = {"BANK_TRANSFER", "MOMO", "CARD", "VNPAY_QR"} - {
        method
    }  # PayPal needs an exchange rate
    assert set(refused["alternatives"]) == works
    assert effects(api) == before


@pytest.mark.parametrize(
    "but",
    [
        {"amount": 0},
        {"amount": -1},
        {"currency": "USD"},
        {"reference": ""},
        {"reference": "x" * 65},
        {"reference": "two\nlines"},
        {"description": "x" * 201},
    ],
)
def test_an_invalid_order_is_refused(api: Api, shop: str, but: dict[str, Any]) -> None:
    before = effects(api)
    assert code(created(api, shop, **but)) == "INVALID_INPUT"
    assert effects(api) == before


def test_another_merchants_order_reads_as_not_found(api: Api, shop: str) -> None:
    order = created(api, shop)["order"]
    for secret, work in (("kiosk", paying), ("kiosk", seen)):
        api.rows(
            "insert into api_client select $1, 'Kiosk', role, secret_hash, created_at"
            " from api_client where client_id = 'shop' on conflict do nothing",
            secret,
        )
        form = {
            "grant_type": "client_credentials",
            "client_id": secret,
            "client_secret": "shop-secret",
        }
        other = api.http.post("/oauth/token", data=form).json()["access_token"]
        if work is paying:
            assert code(paying(api, other, order)) == "NOT_FOUND"
        else:
            answer = api.execute(ORDER, {"id": order["id"]}, token=other)
            assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


def test_a_merchant_sees_follows_and_cancels_its_own_payments_alone(api: Api, shop: str) -> None:
    mine = paying(api, shop, created(api, shop)["order"])["payment"]["id"]
    theirs = api.new_payment(method="VNPAY_QR")["id"]
    for document in (
        "query ($id: ID!) { payment(id: $id) { id } }",
        "mutation ($id: ID!) { verifyPayment(id: $id) { payment { id } errors { code } } }",
        (
            'mutation ($id: ID!) { cancelPayment(id: $id, reason: "changed their mind")'
            " { payment { id } errors { code } } }"
        ),
    ):
        assert not api.execute(document, {"id": mine}, token=shop).get("errors")
        answer = api.execute(document, {"id": theirs}, token=shop)
        assert "NOT_FOUND" in str(answer), answer


def test_a_late_payment_of_an_order_that_was_paid_again_is_a_case(
    api: Api, sandbox: Sandbox, shop: str
) -> None:
    order = created(api, shop)["order"]
    first = paying(api, shop, order)["payment"]
    cancel = (
        'mutation ($id: ID!) { cancelPayment(id: $id, reason: "other method") { payment'
        " { status } errors { code } } }"
    )
    assert api.get(cancel, {"id": first["id"]}, token=shop)["payment"]["status"] == "CANCELLED"
    second = paying(api, shop, order)["payment"]
    sandbox.pay(reference=second["gatewayReference"], outcome="paid")
    until(lambda: seen(api, shop, order)["status"] == "PAID", why="the webhook did not pay it")
    paid = Evidence(
        source=EvidenceSource.INQUIRY,
        origin="test",
        result=GatewayResult.PAID,
        money=Money(order["amount"]),
    )
    api.run(payment_evidence.apply(api.context, first["gatewayReference"], paid))
    found = {payment["id"]: payment["status"] for payment in seen(api, shop, order)["payments"]}
    assert found == {first["id"]: "CANCELLED", second["id"]: "SUCCESS"}
    case = of(api, first)
    assert (case["kind"], case["suggestion"]) == ("LATE_MONEY", "REFUND")
    decide = (
        'mutation ($id: ID!) { resolveCase(input: {caseId: $id, decision: APPLY, reason: "it is'
        ' late"}) { errors { code } } }'
    )
    payload = api.get(decide, {"id": case["id"]}, token=api.token("FI001"))
    assert payload["errors"] == [{"code": "TRANSITION_REFUSED"}], "the other payment has paid it"


def test_the_result_page_sends_the_payer_back_to_the_shop(
    api: Api, sandbox: Sandbox, shop: str
) -> None:
    order = created(api, shop)["order"]
    back = "https://shop.example/thanks?lang=vi"
    payment = paying(api, shop, order, returnUrl=back)["payment"]

    def page() -> str:
        link = payment["confirmationLink"]
        return api.http.get(link, headers={"accept": "text/html"}).text

    assert "shop.example" not in page()  # not while the payment is open
    sandbox.pay(reference=payment["gatewayReference"], outcome="paid")
    until(lambda: "shop.example" in page(), why="the page does not send back")
    (target,) = re.findall(r'content="5;url=([^"]+)"', page())
    assert target == (
        f"https://shop.example/thanks?lang=vi&amp;order_id={order['reference']}"
        f"&amp;transaction_id={payment['id']}&amp;status=success"
    )


def test_a_card_token_goes_with_a_card_only(api: Api, shop: str) -> None:
    order = created(api, shop)["order"]
    before = effects(api)
    refused = paying(api, shop, order, paymentToken="tok_visa")
    assert (code(refused), refused["errors"][0]["field"]) == ("INVALID_INPUT", "paymentToken")
    assert effects(api) == before


def test_an_order_is_paid_by_a_card_token(api: Api, shop: str) -> None:
    order = created(api, shop)["order"]
    paying(api, shop, order, method="CARD", paymentToken="tok_visa")
    until(lambda: seen(api, shop, order)["status"] == "PAID", why="the card was not charged")
