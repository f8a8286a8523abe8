"""A call that was given up is handled again on request, and never twice."""

from __future__ import annotations

from typing import Any

import pytest

from domain.methods import GatewayName
from tests.support.gateways.calls import (
    call,
    events,
    handled_call,
    ipn,
    notice,
    notify,
    signed,
    state,
)
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

REPLAY = (
    "mutation ($id: ID!) { replayWebhook(id: $id) { event { id outcome } errors { code message }"
    " } }"
)
DESK = """
query ($outcome: WebhookOutcome!) {
  webhookEvents(outcome: $outcome, first: 1) { edges { node { id masked } } } }
"""
PAN = "4242424242424242"
NEW_SECRET = b"the-new-secret"


def replayed(api: Api, event_id: str, *, language: str = "vi") -> dict[str, Any]:
    return api.get(REPLAY, {"id": event_id}, token=api.token("FI001"), language=language)


def newest(api: Api, outcome: str) -> dict[str, Any]:
    (edge,) = api.get(DESK, {"outcome": outcome}, token=api.token("FI001"))["edges"]
    return edge["node"]


def money(api: Api) -> list[Any]:
    return api.rows("select count(*), sum(amount) from posting")


@pytest.fixture
def qr(api: Api) -> dict[str, Any]:
    return api.new_payment(method="VNPAY_QR")


def test_a_call_that_was_given_up_is_handled_again(api: Api, qr: dict[str, Any]) -> None:
    unknown = qr | {"gatewayReference": f"{qr['gatewayReference'][:-1]}z"}
    assert call(api, signed(ipn(unknown))) == "01"
    (event,) = events(api, unknown["gatewayReference"])
    api.rows("update webhook_event set outcome = 'DEAD' where id = $1", event["id"])
    assert replayed(api, event["id"])["event"]["outcome"] == "DEAD"  # still without a payment
    api.rows(  # an attempt with the reference of the call
        "update attempt set reference = $2 where reference = $1",
        qr["gatewayReference"],
        unknown["gatewayReference"],
    )
    assert replayed(api, event["id"])["event"]["outcome"] == "HANDLED"
    assert state(api, qr) == ("SUCCESS", None)


def test_a_handled_call_is_not_handled_again(api: Api) -> None:
    event_id = handled_call(api)
    before = money(api)
    assert replayed(api, event_id)["event"] == {"id": event_id, "outcome": "HANDLED"}
    assert money(api) == before


def test_a_call_in_quarantine_is_handled_after_its_secret_is_corrected(
    api: Api, qr: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = signed(ipn(qr), b"the-new-secret")
    assert call(api, text) == "97"
    (event,) = api.rows("select id from webhook_event where query = $1", text)
    refused = replayed(api, event["id"])
    assert [error["code"] for error in refused["errors"]] == ["NOT_PERMITTED"]
    assert state(api, qr) == ("PROCESSING", None)
    gateway: Any = api.context.gateways[GatewayName.VNPAY]
    monkeypatch.setattr(gateway, "_secrets", (*gateway._secrets, "the-new-secret"))
    counted = replayed(api, event["id"])["event"]
    assert counted["outcome"] == "HANDLED"
    assert state(api, qr) == ("SUCCESS", None)
    before = money(api)
    assert replayed(api, event["id"])["event"]["id"] == counted["id"]
    assert money(api) == before


# ── calls that held a card number ────────────────────────────────────────────────────────────────


def with_a_card_in_its_query(api: Api, secret: bytes) -> tuple[dict[str, Any], Any]:
    payment = api.new_payment(method="VNPAY_QR")
    query = signed(ipn(payment, vnp_OrderInfo=f"The {PAN}"), secret)
    return payment, api.http.get(f"/webhooks/vnpay?{query}").json()["RspCode"]


def with_a_card_in_its_body(api: Api, secret: bytes) -> tuple[dict[str, Any], Any]:
    payment = api.new_payment(method="FPT_PAY")
    body = notice(payment, reason=f"card {PAN}")
    return payment, notify(api, body, secret=secret).status_code


def with_a_card_in_a_header(api: Api, secret: bytes) -> tuple[dict[str, Any], Any]:
    payment = api.new_payment(method="FPT_PAY")
    answer = notify(api, notice(payment), secret=secret, **{"X-Note": PAN})
    return payment, answer.status_code


MASKED: dict[str, tuple[Any, GatewayName, Any, Any]] = {
    "query": (with_a_card_in_its_query, GatewayName.VNPAY, "97", "00"),
    "body": (with_a_card_in_its_body, GatewayName.FPT_PAY, 401, 200),
}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("vi", (
            "có chứa số thẻ nên đã được che, không thể kiểm tra lại được nữa. Hãy yêu cầu cổng"
            " gửi lại."
        )),
        ("en", (
            "held a card number, was masked and cannot be verified again. Have the gateway send"
            " it again."
        )),
    ],
    ids=["vi", "en"],
)  # fmt: skip
@pytest.mark.parametrize("part", MASKED)
def test_a_call_that_held_a_card_number_is_sent_again_and_not_replayed(
    api: Api, monkeypatch: pytest.MonkeyPatch, part: str, language: str, sentence: str
) -> None:
    calls, name, refused, accepted = MASKED[part]
    payment, answer = calls(api, NEW_SECRET)
    assert answer == refused
    event = newest(api, "BAD_SIGNATURE")
    assert event["masked"]
    gateway: Any = api.context.gateways[name]
    monkeypatch.setattr(gateway, "_secrets", (*gateway._secrets, NEW_SECRET.decode()))
    api.token("FI001")
    before = api.dump()
    (error,) = replayed(api, event["id"], language=language)["errors"]
    assert error["code"] == "NOT_PERMITTED"
    assert error["message"].endswith(sentence)
    after = api.dump()
    assert sum((after.pop("audit_event") - before.pop("audit_event")).values()) == 1
    assert after == before
    (row,) = api.rows("select action, outcome from audit_event order by id desc limit 1")
    assert tuple(row) == ("replayWebhook", "REFUSED")
    assert state(api, payment)[0] == "PROCESSING"
    again, answer = calls(api, NEW_SECRET)
    assert answer == accepted
    assert state(api, again) == ("SUCCESS", None)


def test_a_call_that_held_a_card_number_outside_what_is_signed_is_replayed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, status = with_a_card_in_a_header(api, NEW_SECRET)
    assert status == 401
    event = newest(api, "BAD_SIGNATURE")
    assert event["masked"]
    gateway: Any = api.context.gateways[GatewayName.FPT_PAY]
    monkeypatch.setattr(gateway, "_secrets", (*gateway._secrets, NEW_SECRET.decode()))
    assert replayed(api, event["id"])["event"]["outcome"] == "HANDLED"
    assert state(api, payment) == ("SUCCESS", None)


def test_a_call_without_a_card_number_is_not_marked(api: Api, qr: dict[str, Any]) -> None:
    assert call(api, signed(ipn(qr), NEW_SECRET)) == "97"
    assert not newest(api, "BAD_SIGNATURE")["masked"]


def test_a_signed_call_is_replayed_although_a_header_held_a_card_number(api: Api) -> None:
    payment = api.new_payment(method="FPT_PAY")
    body = notice(payment, reference=f"{payment['gatewayReference'][:-1]}z")
    assert notify(api, body, **{"X-Note": PAN}).status_code == 404
    api.rows("update webhook_event set outcome = 'DEAD' where outcome = 'UNMATCHED'")
    event = newest(api, "DEAD")
    assert not event["masked"]
    assert replayed(api, event["id"])["event"] == {"id": event["id"], "outcome": "DEAD"}


def test_an_unknown_call_is_not_found(api: Api) -> None:
    assert [error["code"] for error in replayed(api, "EVT_none")["errors"]] == ["NOT_FOUND"]
