"""A gateway's call that nobody finished with is handled again when a person says so, and never twice."""

from __future__ import annotations

from typing import Any

import pytest

from domain.methods import GatewayName
from tests.house import Api
from tests.schema.calling import call, events, ipn, signed, state

pytest_plugins = ["tests.house"]

REPLAY = "mutation ($id: ID!) { replayWebhook(id: $id) { event { id outcome } errors { code message } } }"


def kept_call(api: Api) -> str:
    """Return the id of a call about a payment that was handled."""
    qr = api.paid(method="VNPAY_QR")
    assert call(api, signed(ipn(qr))) == "00"
    (event,) = events(api, qr["gatewayReference"])
    return event["id"]


def replayed(api: Api, event_id: str) -> dict[str, Any]:
    return api.get(REPLAY, {"id": event_id}, token=api.token("FI001"))


def money(api: Api) -> list[Any]:
    return api.rows("select count(*), sum(amount) from posting")


@pytest.fixture
def qr(api: Api) -> dict[str, Any]:
    return api.paid(method="VNPAY_QR")


def test_a_call_that_was_given_up_is_handled_again(api: Api, qr: dict[str, Any]) -> None:
    stranger = qr | {"gatewayReference": f"{qr['gatewayReference'][:-1]}z"}
    assert call(api, signed(ipn(stranger))) == "01"
    (event,) = events(api, stranger["gatewayReference"])
    api.rows("update webhook_event set outcome = 'DEAD' where id = $1", event["id"])
    assert replayed(api, event["id"])["event"]["outcome"] == "DEAD"  # still nobody's
    api.rows(  # as if the attempt had been unreadable when it came
        "update attempt set reference = $2 where reference = $1",
        qr["gatewayReference"],
        stranger["gatewayReference"],
    )
    assert replayed(api, event["id"])["event"]["outcome"] == "HANDLED"
    assert state(api, qr) == ("SUCCESS", None)


def test_what_was_handled_is_not_handled_again(api: Api) -> None:
    event_id = kept_call(api)
    before = money(api)
    assert replayed(api, event_id)["event"] == {"id": event_id, "outcome": "HANDLED"}
    assert money(api) == before


def test_a_call_in_quarantine_counts_once_its_secret_is_mended(
    api: Api, qr: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = signed(ipn(qr), b"the-new-secret")
    assert call(api, text) == "97"
    (event,) = api.rows("select id from webhook_event where query = $1", text)
    refused = replayed(api, event["id"])
    assert [one["code"] for one in refused["errors"]] == ["NOT_PERMITTED"]
    assert state(api, qr) == ("PROCESSING", None)
    gateway: Any = api.context.gateways[GatewayName.VNPAY]
    monkeypatch.setattr(gateway, "_secrets", (*gateway._secrets, "the-new-secret"))
    counted = replayed(api, event["id"])["event"]
    assert counted["outcome"] == "HANDLED"
    assert state(api, qr) == ("SUCCESS", None)
    before = money(api)
    assert replayed(api, event["id"])["event"]["id"] == counted["id"]
    assert money(api) == before


def test_an_unknown_call_is_not_found(api: Api) -> None:
    assert [one["code"] for one in replayed(api, "EVT_none")["errors"]] == ["NOT_FOUND"]
