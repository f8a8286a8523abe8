"""MoMo through the whole API: calls, inquiries after a lost call, and wrong amounts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.support.requests.orders import created, paying, shop
from tests.support.running_api import CANCEL, VERIFY, Api, Sandbox, until

pytest_plugins = ["tests.support.running_api"]

__all__ = ["shop"]


@pytest.fixture
def opened(api: Api) -> dict[str, Any]:
    return api.new_payment(method="MOMO")


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def postings(api: Api, payment: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows = api.rows(
        "select debit, credit, amount from posting join entry on entry.id = entry"
        " where payment = $1 order by posting.id",
        payment["id"],
    )
    return [tuple(row.values()) for row in rows]


def test_its_call_is_answered_204_and_a_repeat_too(
    api: Api, sandbox: Sandbox, opened: dict[str, Any]
) -> None:
    for _ in range(2):
        response = sandbox.pay(payment_url=opened["paymentUrl"])
        assert [call["status_code"] for call in response["webhooks"]] == [204]
        assert state(api, opened) == ("SUCCESS", None)
    (event,) = api.rows(
        "select outcome, deliveries, path from webhook_event where reference = $1",
        opened["gatewayReference"],
    )
    assert tuple(event.values()) == ("HANDLED", 2, "momo")
    assert postings(api, opened) == [
        ("gateway_clearing:momo", "customer_receivable", opened["amount"])
    ]


def test_an_inquiry_finds_the_money_of_a_lost_call(
    api: Api, sandbox: Sandbox, opened: dict[str, Any]
) -> None:
    sandbox.pay(qr=opened["qr"]["payload"], drop_webhook=True)
    assert state(api, opened) == ("PROCESSING", None)
    payload = api.get(VERIFY, {"id": opened["id"]}, token=api.token("NV002"))
    assert payload["payment"]["status"] == "SUCCESS"


@pytest.mark.parametrize("lost", [False, True])
def test_an_authorized_payment_counts_as_paid(
    api: Api, sandbox: Sandbox, opened: dict[str, Any], lost: bool
) -> None:
    sandbox.pay(payment_url=opened["paymentUrl"], reason="9000", drop_webhook=lost)
    if lost:
        api.get(VERIFY, {"id": opened["id"]}, token=api.token("NV002"))
    assert state(api, opened) == ("SUCCESS", None)


def test_a_forged_call_moves_nothing(api: Api, sandbox: Sandbox, opened: dict[str, Any]) -> None:
    response = sandbox.pay(reference=opened["gatewayReference"], bad_signature=True, amount=1)
    assert [call["status_code"] for call in response["webhooks"]] == [401]
    assert state(api, opened) == ("PROCESSING", None)


def test_too_little_is_held_and_its_call_is_answered_204(
    api: Api, sandbox: Sandbox, opened: dict[str, Any]
) -> None:
    response = sandbox.pay(reference=opened["gatewayReference"], amount=opened["amount"] - 1000)
    assert [call["status_code"] for call in response["webhooks"]] == [204]
    assert state(api, opened) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert postings(api, opened) == [("gateway_clearing:momo", "suspense", opened["amount"] - 1000)]


def test_money_paid_after_a_cancellation_is_found_by_an_inquiry(
    api: Api, sandbox: Sandbox, opened: dict[str, Any]
) -> None:
    payload = api.get(
        CANCEL, {"id": opened["id"], "reason": "customer left"}, token=api.token("NV002")
    )
    assert payload["payment"]["status"] == "CANCELLED"
    sandbox.pay(payment_url=opened["paymentUrl"])
    assert state(api, opened) == ("CANCELLED", None), "one call proves nothing of an ended payment"
    jobs = api.rows("select payload from pgqueuer where entrypoint = 'inquire'")
    assert any(opened["id"].encode() in row["payload"] for row in jobs), "an inquiry follows"


def test_a_start_without_an_answer_is_found_by_inquiry_and_not_repeated(
    api: Api, sandbox: Sandbox
) -> None:
    with sandbox.broken("momo", "reset", times=1, after_processing=True, path="create"):
        lost = api.new_payment(method="MOMO")
    assert (lost["status"], lost["needsVerification"]) == ("PROCESSING", True)
    sandbox.pay(reference=lost["gatewayReference"], drop_webhook=True)
    payload = api.get(VERIFY, {"id": lost["id"]}, token=api.token("NV002"))
    assert payload["payment"]["status"] == "SUCCESS"
    charges = [
        charge
        for charge in sandbox.truth["charges"]
        if charge["reference"] == lost["gatewayReference"]
    ]
    assert len(charges) == 1


def test_a_signed_text_that_is_divided_differently_pays_no_other_order(
    api: Api, sandbox: Sandbox, shop: str
) -> None:
    """MoMo signs unescaped values, so an order's name could contain `…&orderId=…`."""
    wanted = paying(api, shop, created(api, shop)["order"], method="MOMO")["payment"]
    reference = f"a&orderId={wanted['gatewayReference']}&orderInfo=b"
    bought = paying(api, shop, created(api, shop, reference=reference)["order"], method="MOMO")
    back = httpx.post(
        bought["payment"]["paymentUrl"], data={"outcome": "paid"}, trust_env=False
    ).headers["location"]
    until(lambda: state(api, bought["payment"])[0] == "SUCCESS", why="the IPN did not come")
    fields: dict[str, Any] = dict(parse_qsl(urlsplit(back).query, keep_blank_values=True))
    fields |= {
        name: int(fields[name]) for name in ("amount", "transId", "resultCode", "responseTime")
    }
    # The same signed text, with other boundaries between its fields.
    info, _, rest = fields["orderInfo"].partition("&orderId=")
    fields["message"] += f"&orderId={fields['orderId']}&orderInfo={info}"
    fields["orderId"], _, fields["orderInfo"] = rest.partition("&orderInfo=")
    fields["orderId"] = fields["orderId"] or wanted["gatewayReference"]
    before = api.dump()
    assert api.http.post("/webhooks/momo", json=fields).status_code == 401
    assert state(api, wanted) == ("PROCESSING", None)
    assert {name for name, rows in api.dump().items() if rows != before[name]} == {"webhook_event"}
