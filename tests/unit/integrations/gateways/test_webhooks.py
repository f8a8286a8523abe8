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
from integrations.http.webhooks import json_object
from tests.support.gateways.all_dialects import TELLERS
from tests.support.gateways.dialects import NOW, Teller, asked_in, told_by
from tests.support.gateways.table import case


@pytest.fixture(params=TELLERS, ids=lambda teller: type(teller).__name__)
def teller(request: pytest.FixtureRequest) -> Teller:
    return request.param


@pytest.fixture
def told(teller: Teller) -> Gateway:
    return teller.gateway(Upstream("nobody", "http://127.0.0.1"))


OUTCOMES = {
    "paid": GatewayResult.PAID,
    "pending": GatewayResult.UNPAID,
    "declined": GatewayResult.DECLINED,
    "expired": GatewayResult.EXPIRED,
}


def test_a_webhook_says_what_became_of_the_reference(told: Gateway, teller: Teller) -> None:
    for outcome in teller.outcomes:
        (notice,) = told.read_webhook(teller.calls(outcome))
        assert notice.evidence
        assert (notice.evidence.result, notice.evidence.source) == (
            OUTCOMES[outcome],
            EvidenceSource.WEBHOOK,
        )
        assert notice.reference == teller.reference
        assert notice.event_id
        if outcome == "paid":
            assert notice.evidence.money == asked_in(teller.name)
            assert notice.evidence.gateway_id == teller.gateway_id


@case("duplicate")
def test_the_same_event_has_the_same_identity(told: Gateway, teller: Teller) -> None:
    one, two = (told.read_webhook(teller.calls("paid")) for _ in range(2))
    assert one == two


@case("wrong amount")
def test_a_wrong_amount_is_translated_faithfully(told: Gateway, teller: Teller) -> None:
    assert told_by(told, teller.calls("paid", amount=1)).money == asked_in(teller.name, 1)


@case("foreign reference")
def test_a_name_that_is_not_of_our_form_is_handed_on_as_it_is(
    told: Gateway, teller: Teller
) -> None:
    for outcome in teller.outcomes:
        (notice,) = told.read_webhook(teller.calls(outcome, reference="ORDER-778"))
        # In a bank's text only our own form is looked for.
        assert notice.reference == (None if told.name is GatewayName.BANK else "ORDER-778")
        assert notice.evidence
        assert notice.evidence.result is OUTCOMES[outcome]


@case("forged")
def test_a_forged_webhook_is_refused(told: Gateway, teller: Teller) -> None:
    with pytest.raises(BadCall):
        told.read_webhook(teller.forges(teller.calls("paid")))


@case("forged")
def test_an_unsigned_webhook_is_refused(told: Gateway, teller: Teller) -> None:
    with pytest.raises(BadCall, match="signature"):
        told.read_webhook(teller.unsigns(teller.calls("paid")))


@case("forged")
def test_a_repeated_parameter_is_refused(told: Gateway, teller: Teller) -> None:
    with pytest.raises(BadCall, match="repeated"):
        told.read_webhook(teller.repeats_a_parameter(teller.calls("paid")))


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
        json_object(body)


READERS = [dialect.gateway(Upstream("nobody", "http://127.0.0.1")) for dialect in TELLERS]


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
