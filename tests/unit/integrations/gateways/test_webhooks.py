"""What every gateway's call must keep to, whatever its dialect."""

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
def told(caller: Caller) -> Gateway:
    return caller.gateway(Upstream("nobody", "http://127.0.0.1"))


OUTCOMES = {
    "paid": GatewayResult.PAID,
    "pending": GatewayResult.UNPAID,
    "declined": GatewayResult.DECLINED,
    "expired": GatewayResult.EXPIRED,
}


def test_a_webhook_says_what_became_of_the_reference(told: Gateway, caller: Caller) -> None:
    for outcome in caller.outcomes:
        (notice,) = told.read_webhook(caller.call(outcome))
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
def test_the_same_event_has_the_same_identity(told: Gateway, caller: Caller) -> None:
    one, two = (told.read_webhook(caller.call("paid")) for _ in range(2))
    assert one == two


@case("wrong amount")
def test_a_wrong_amount_is_translated_faithfully(told: Gateway, caller: Caller) -> None:
    assert evidence_of_call(told, caller.call("paid", amount=1)).money == requested_money(
        caller.name, 1
    )


@case("foreign reference")
def test_a_name_that_is_not_of_our_form_is_handed_on_as_it_is(
    told: Gateway, caller: Caller
) -> None:
    for outcome in caller.outcomes:
        (notice,) = told.read_webhook(caller.call(outcome, reference="ORDER-778"))
        # In a bank's text only our own form is looked for.
        assert notice.reference == (None if told.name is GatewayName.BANK else "ORDER-778")
        assert notice.evidence
        assert notice.evidence.result is OUTCOMES[outcome]


@case("forged")
def test_a_forged_webhook_is_refused(told: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall):
        told.read_webhook(caller.forge(caller.call("paid")))


@case("forged")
def test_an_unsigned_webhook_is_refused(told: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall, match="signature"):
        told.read_webhook(caller.remove_signature(caller.call("paid")))


@case("forged")
def test_a_repeated_parameter_is_refused(told: Gateway, caller: Caller) -> None:
    with pytest.raises(BadCall, match="repeated"):
        told.read_webhook(caller.repeat_parameter(caller.call("paid")))


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_words_in_their_dialect(told: Gateway, verdict: Verdict) -> None:
    reply = told.answer(verdict)
    assert json.loads(reply.body) if reply.status != 204 else reply.body == b""
    assert reply.content_type == "application/json"


def test_no_gateway_shows_its_secrets(told: Gateway) -> None:
    assert "secret" not in repr(told).lower()


@pytest.mark.parametrize(
    "body", [b'{"a": "\\ud800"}', b'{"a": ["\\u0000"]}', '{"a": 1}'.encode("utf-16"), b'"\xed\xa0\x80"']
)  # fmt: skip
def test_what_no_text_can_hold_is_no_json_of_theirs(body: bytes) -> None:
    """Half a letter, NUL, and another alphabet than UTF-8: who forgives them reads another message."""
    with pytest.raises(BadCall, match="not JSON"):
        parse_json_object(body)


READERS = [dialect.gateway(Upstream("nobody", "http://127.0.0.1")) for dialect in CALLERS]


@given(query=st.text(), body=st.binary(), name=st.text(), value=st.text(), post=st.booleans())
def test_whatever_comes_in_is_read_or_refused(
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
    for gateway in READERS:
        for path in gateway.paths:
            with pytest.raises(BadCall):
                gateway.read_webhook(replace(call, path=path))
