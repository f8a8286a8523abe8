"""The behaviour that all gateways' calls share."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gateways import BadCall, Call, Gateway, Verdict
from domain.methods import GatewayName
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.http.webhooks import parse_json_object
from tests.support.gateways.all_dialects import CALLERS
from tests.support.gateways.dialects import NOW, Caller, evidence_of_call, requested_money
from tests.support.gateways.table import case


@pytest.fixture(params=CALLERS, ids=lambda caller: type(caller).__name__)
def caller(request: pytest.FixtureRequest) -> Caller:
    return request.param


@pytest.fixture
def gateway(caller: Caller) -> Gateway:
    return caller.gateway(Upstream("unused", "http://127.0.0.1"))


OUTCOMES = {
    "paid": GatewayResult.PAID,
    "pending": GatewayResult.UNPAID,
    "declined": GatewayResult.DECLINED,
    "expired": GatewayResult.EXPIRED,
}


def test_a_call_has_the_result_of_the_reference(gateway: Gateway, caller: Caller) -> None:
    for outcome in caller.outcomes:
        (notice,) = gateway.read_webhook(caller.call(outcome))
        assert notice.evidence
        assert (notice.evidence.result, notice.evidence.source) == (
            OUTCOMES[outcome],
            EvidenceSource.WEBHOOK,
        )
        assert notice.reference == caller.reference
        assert notice.event_id
        if outcome == "paid":
            assert notice.evidence.money == requested_money(caller.name)
            assert notice.evidence.gateway_id == caller.gateway_id


@case("duplicate")
def test_the_same_event_has_the_same_identity(gateway: Gateway, caller: Caller) -> None:
    first, second = (gateway.read_webhook(caller.call("paid")) for _ in range(2))
    assert first == second


@case("wrong amount")
def test_a_wrong_amount_stays_as_it_is(gateway: Gateway, caller: Caller) -> None:
    assert evidence_of_call(gateway, caller.call("paid", amount=1)).money == requested_money(
        caller.name, 1
    )


@case("foreign reference")
def test_a_foreign_reference_stays_as_it_is(gateway: Gateway, caller: Caller) -> None:
    for outcome in caller.outcomes:
        (notice,) = gateway.read_webhook(caller.call(outcome, reference="ORDER-778"))
        # In a transfer's text only references of our form are searched.
        assert notice.reference == (None if gateway.name is GatewayName.BANK else "ORDER-778")
        assert notice.evidence
        assert notice.evidence.result is OUTCOMES[outcome]


@case("forged")
def test_a_forged_call_is_refused(gateway: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall):
        gateway.read_webhook(caller.forge(caller.call("paid")))


@case("forged")
def test_an_unsigned_call_is_refused(gateway: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall, match="signature"):
        gateway.read_webhook(caller.remove_signature(caller.call("paid")))


@case("forged")
def test_a_repeated_parameter_is_refused(gateway: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall, match="repeated"):
        gateway.read_webhook(caller.repeat_parameter(caller.call("paid")))


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_reply(gateway: Gateway, verdict: Verdict) -> None:
    reply = gateway.answer(verdict)
    assert json.loads(reply.body) if reply.status != 204 else reply.body == b""
    assert reply.content_type == "application/json"


def test_no_gateway_shows_its_secrets(gateway: Gateway) -> None:
    assert "secret" not in repr(gateway).lower()


@pytest.mark.parametrize(
    "body",
    [b'{"a": "\\ud800"}', b'{"a": ["\\u0000"]}', '{"a": 1}'.encode("utf-16"), b'"\xed\xa0\x80"'],
)
def test_text_that_cannot_be_stored_is_refused(body: bytes) -> None:
    """Lone surrogates, NUL and UTF-16 are refused: a lenient parser reads another message."""
    with pytest.raises(BadCall, match="not JSON"):
        parse_json_object(body)


GATEWAYS = [dialect.gateway(Upstream("unused", "http://127.0.0.1")) for dialect in CALLERS]


@given(query=st.text(), body=st.binary(), name=st.text(), value=st.text(), post=st.booleans())
def test_arbitrary_calls_are_refused(
    query: str, body: bytes, name: str, value: str, post: bool
) -> None:
    call = Call(
        method="POST" if post else "GET",
        query=query,
        headers={
            name: value,
            "X-FptPay-Signature": value,
            "Stripe-Signature": value,
            "Content-Type": "application/json",
        },
        body=body,
        received_at=NOW,
    )
    for gateway in GATEWAYS:
        for path in gateway.paths:
            with pytest.raises(BadCall):
                gateway.read_webhook(replace(call, path=path))
