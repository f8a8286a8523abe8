"""The list of webhook events: what is stored, who reads it, and the metrics."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from resolvers import webhooks
from tests.support.clocks import SetClock
from tests.support.gateways.calls import call, events, ipn, retried, signed, state
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

DESK = """
query ($outcome: WebhookOutcome!, $gateway: Gateway, $first: Int, $after: String) {
  webhookEvents(outcome: $outcome, gateway: $gateway, first: $first, after: $after) {
    edges { cursor node { id gateway eventId reference outcome receivedAt deliveries tries
                          raw { method path query body headers { name value } } } }
    pageInfo { hasNextPage endCursor } } }
"""
REPLAY = "mutation ($id: ID!) { replayWebhook(id: $id) { event { id outcome } errors { code } } }"


def desk(api: Api, outcome: str, *, by: str = "FI001", **more: Any) -> dict[str, Any]:
    return api.get(DESK, {"outcome": outcome} | more, token=api.token(by))


def nodes(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in page["edges"]]


@pytest.fixture
def qr(api: Api) -> dict[str, Any]:
    return api.new_payment(method="VNPAY_QR")


def test_the_quarantine_shows_what_can_be_replayed(api: Api, qr: dict[str, Any]) -> None:
    text = signed(ipn(qr), b"the-new-secret")
    assert call(api, text) == "97"
    newest = nodes(desk(api, "BAD_SIGNATURE", gateway="VNPAY"))[0]
    (event,) = api.rows("select id from webhook_event where query = $1", text)
    assert newest["id"] == event["id"]
    assert (newest["eventId"], newest["reference"], newest["deliveries"]) == (None, None, 1)
    assert nodes(desk(api, "BAD_SIGNATURE", gateway="MOMO")) == []


def test_only_an_auditor_reads_the_raw_call(api: Api) -> None:
    secrets = {
        "Authorization": "Apikey very-secret",
        "Cookie": "a=very-secret",
        "secure-token": "very-secret",
        "X-Secret-Key": "very-secret",
        "X-Api-Key": "very-secret",
    }
    body = '{"ghi chú": "không ký"}'.encode()
    headers = secrets | {"X-SePay-Signature": "sha256=0", "Content-Type": "application/json"}
    answer = api.http.post("/webhooks/bank/sepay?a=1", content=body, headers=headers)
    assert answer.status_code == 401
    (raw,) = [node["raw"] for node in nodes(desk(api, "BAD_SIGNATURE", by="AU001", first=1))]
    assert (raw["method"], raw["path"], raw["query"]) == ("POST", "bank/sepay", "a=1")
    assert raw["body"].encode() == body
    shown = {header["name"]: header["value"] for header in raw["headers"]}
    assert {shown[name.lower()] for name in secrets} == {"…"}
    assert shown["x-sepay-signature"] == "sha256=0", "without it nothing can be verified again"
    for other in ("FI001", "AD001"):
        assert nodes(desk(api, "BAD_SIGNATURE", by=other, first=1))[0]["raw"] is None


def test_the_events_are_listed_in_pages_newest_first(api: Api) -> None:
    for _ in range(3):
        api.http.post("/webhooks/momo", content=b"{}")
    seen: list[str] = []
    after = None
    while True:
        page = desk(api, "BAD_SIGNATURE", gateway="MOMO", first=2, after=after)
        seen += [node["id"] for node in nodes(page)]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    sql = "select id from webhook_event where gateway = 'MOMO' order by received_at desc, id desc"
    assert seen == [row["id"] for row in api.rows(sql)]
    refused = api.execute(
        DESK, {"outcome": "DEAD", "after": "x", "first": 1}, token=api.token("FI001")
    )
    assert refused["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


def test_a_replay_does_not_count_as_a_delivery(api: Api, qr: dict[str, Any]) -> None:
    stray = qr | {"gatewayReference": f"{qr['gatewayReference'][:-1]}z"}
    assert call(api, signed(ipn(stray))) == "01"
    (event,) = events(api, stray["gatewayReference"])
    api.get(REPLAY, {"id": event["id"]}, token=api.token("FI001"))
    (again,) = events(api, stray["gatewayReference"])
    assert (again["deliveries"], again["outcome"]) == (1, "UNMATCHED")


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────


def counted(api: Api, outcome: str) -> float:
    return _metric(api, f'mobinet_webhooks_total{{gateway="vnpay",outcome="{outcome}"}}')


def _metric(api: Api, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (.+)$", api.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_calls_are_counted_by_outcome_and_timed(api: Api, qr: dict[str, Any]) -> None:
    lag = 'mobinet_webhook_lag_seconds_count{gateway="vnpay"}'
    outcomes = ("RECEIVED", "HANDLED", "DUPLICATE", "STALE", "UNMATCHED", "BAD_SIGNATURE")
    before = {outcome: counted(api, outcome) for outcome in outcomes}, _metric(api, lag)
    fields = ipn(qr)
    stray = signed(fields | {"vnp_TxnRef": "MBSTRAY0000000000009"})
    for query in (signed(fields), signed(fields), signed(fields, b"wrong"), stray, stray):
        call(api, query)
    late = fields | {"vnp_ResponseCode": "24", "vnp_TransactionStatus": "02"}
    assert call(api, signed(late)) == "02"
    retried(api)  # a waiting event is not counted again with each retry
    after = {outcome: counted(api, outcome) for outcome in outcomes}
    assert {outcome: after[outcome] - before[0][outcome] for outcome in outcomes} == {
        "RECEIVED": 5,
        "HANDLED": 1,
        "DUPLICATE": 1,
        "STALE": 1,
        "UNMATCHED": 1,
        "BAD_SIGNATURE": 1,
    }
    assert _metric(api, lag) - before[1] == 2


# ── calls that are refused ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", ["fpt-pay", "momo", "stripe", "paypal", "bank/casso", "bank/sepay"]
)
def test_a_gateway_that_calls_by_post_cannot_call_by_get(api: Api, path: str) -> None:
    before = api.dump()
    for method in ("GET", "HEAD", "PUT"):
        answer = api.http.request(method, f"/webhooks/{path}")
        assert answer.status_code == 405
    assert api.http.get(f"/webhooks/{path}").headers["allow"] == "POST"
    assert api.http.head("/webhooks/vnpay").status_code == 405
    assert api.dump() == before


def test_vnpay_is_answered_that_a_payment_is_confirmed_only_once_it_is(
    api: Api, qr: dict[str, Any]
) -> None:
    begun = {"vnp_ResponseCode": "00", "vnp_TransactionStatus": "01"}
    assert call(api, signed(ipn(qr, **begun))) == "00"
    assert state(api, qr) == ("PROCESSING", None)
    fields = ipn(qr)
    assert call(api, signed(fields)) == "00"
    assert call(api, signed(ipn(qr, **begun))) == "02"


def test_of_many_forged_calls_some_are_stored_and_a_genuine_one_is_handled(
    api: Api, qr: dict[str, Any]
) -> None:
    """Hard case 12."""
    webhooks._quarantined.clear()
    count = "select count(*) from webhook_event where outcome = 'BAD_SIGNATURE'"
    before = api.rows(count)[0]["count"]
    for _ in range(webhooks.MAX_QUARANTINED_PER_MINUTE + 10):
        assert call(api, signed(ipn(qr), b"somebody-elses-secret")) == "97"
    assert api.rows(count)[0]["count"] == before + webhooks.MAX_QUARANTINED_PER_MINUTE
    assert call(api, signed(ipn(qr))) == "00"
    assert state(api, qr) == ("SUCCESS", None)
    now = api.context

    async def a_minute_later() -> datetime:
        return await now.clock() + timedelta(minutes=1)

    api.app.state.context = replace(now, clock=SetClock(a_minute_later))
    try:
        assert call(api, signed(ipn(qr), b"somebody-elses-secret")) == "97"
    finally:
        api.app.state.context = now
        webhooks._quarantined.clear()
    assert api.rows(count)[0]["count"] == before + webhooks.MAX_QUARANTINED_PER_MINUTE + 1
