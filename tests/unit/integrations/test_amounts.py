"""How gateways' amounts are read in calls and answers: from their text, and signed as sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gateways import BadCall, Gateway, RefundingGateway
from domain.methods import GatewayName
from domain.money import MAX_JSON_INTEGER, Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import whole_number, with_amount
from integrations.http.client import Upstream
from integrations.http.json_text import RawNumber, decode, encode
from tests.support.gateways import paypal
from tests.support.gateways.all_dialects import CALLERS, DIALECTS
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import (
    NOW,
    Caller,
    Dialect,
    attempt,
    evidence_of_call,
    requested_money,
    reversal,
)
from tests.support.gateways.raw_sums import (
    call_with,
    inquiry_answer,
    readable_literals,
    unreadable_literals,
    vnpay_answer,
)
from tests.support.gateways.table import case

# ── reading ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "raw",
    [
        243_000,
        "243000",
        "243000.0",
        "243000.00",
        "0243000",
        RawNumber("243000.0"),
        RawNumber("243000.00"),
    ],
)
def test_digits_with_at_most_two_decimal_zeros_are_that_whole_number(raw: Any) -> None:
    assert whole_number(raw) == 243_000


@pytest.mark.parametrize(
    "raw",
    [
        "243.000", "243,000", "243 000", "2.43e5", "243000.5", "243000.01", "243000.000", "243000.",
        ".0", "", " 243000", "243000 ", "243000\n", "+243000", "-243000", "٢٤٣٠٠٠", "２４３０００",
        "0x3b538", "243_000", "1" * 17, str(MAX_JSON_INTEGER + 1), MAX_JSON_INTEGER + 1,
        -1, True, None, [], {},
        243_000.0, RawNumber("2.43e5"), RawNumber("243000.000"), RawNumber("-0"), RawNumber("NaN"),
    ],
)  # fmt: skip
def test_anything_else_cannot_be_read(raw: Any) -> None:
    assert whole_number(raw) is None


@given(st.integers(0, MAX_JSON_INTEGER), st.sampled_from(["", ".0", ".00"]), st.booleans())
def test_an_amount_never_passes_through_a_float(amount: int, end: str, quoted: bool) -> None:
    text = f"{amount}{end}"
    body = json.dumps(text) if quoted else text
    assert whole_number(decode(body.encode())) == amount


def test_a_number_keeps_its_text() -> None:
    body = b'{"a":[1.50,2E+5,-0,12345678901234567890123456,7],"b":"x"}'
    value = decode(body)
    assert encode(value, ascii=False) == body.decode()
    assert decode(b"9" * 5000) == RawNumber("9" * 5000), "of any length"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("243.000", "243.000"),
        ("", '""'),
        (" 1", '" 1"'),
        ("1\n2", "1�2"),
        (None, "null"),
        (True, "true"),
        ([1], "[…]"),
        ({"a": 1}, "{…}"),
        (RawNumber("2e5"), "2e5"),
        ("9" * 400, "9" * 63 + "…"),
    ],
)
def test_people_see_the_text_of_an_unreadable_amount(raw: Any, shown: str) -> None:
    paid = Evidence(source=EvidenceSource.WEBHOOK, origin="test", result=GatewayResult.PAID)
    for currency, end in ((Currency.VND, ""), (Currency.USD, " USD")):
        evidence = with_amount(paid, whole_number(raw), raw=raw, currency=currency)
        assert (evidence.money, evidence.unreadable) == (None, shown + end)


def test_only_a_payment_has_an_unreadable_amount() -> None:
    unpaid = Evidence(source=EvidenceSource.WEBHOOK, origin="test", result=GatewayResult.UNPAID)
    assert with_amount(unpaid, None, raw=None, currency=Currency.VND) == unpaid


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=CALLERS, ids=lambda caller: type(caller).__name__)
def caller(request: pytest.FixtureRequest) -> Caller:
    return request.param


@pytest.fixture
def gateway(caller: Caller) -> Gateway:
    return caller.gateway(Upstream("unused", "http://127.0.0.1"))


@case("amount notations")
def test_a_call_may_write_its_amount_in_any_notation(gateway: Gateway, caller: Caller) -> None:
    for literal in readable_literals(caller):
        evidence = evidence_of_call(gateway, call_with(caller, literal))
        assert (evidence.result, evidence.unreadable) == (GatewayResult.PAID, None), literal
        assert evidence.money == requested_money(caller.name), literal


@case("amount notations")
def test_a_call_with_an_unreadable_amount_is_paid_with_its_text(
    gateway: Gateway, caller: Caller
) -> None:
    for literal in unreadable_literals(caller):
        evidence = evidence_of_call(gateway, call_with(caller, literal))
        assert (evidence.result, evidence.money) == (GatewayResult.PAID, None), literal
        assert evidence.unreadable, literal
        text = literal.strip('"')[:60].replace("\\n", "�")
        assert text in evidence.unreadable


@case("amount notations")
def test_a_changed_notation_does_not_verify(gateway: Gateway, caller: Caller) -> None:
    literal = readable_literals(caller)[-1]
    call = call_with(caller, literal)
    original, other = literal.strip('"'), literal.strip('"').replace("2", "3", 1)
    changed = replace(
        call,
        query=call.query.replace(original, other),
        body=call.body.replace(original.encode(), other.encode()),
    )
    with pytest.raises(BadCall, match="verify"):
        gateway.read_webhook(changed)


@case("amount notations")
def test_an_unreadable_notice_is_another_event_than_the_readable_one(
    gateway: Gateway, caller: Caller
) -> None:
    readable, unreadable = readable_literals(caller)[0], unreadable_literals(caller)[0]
    (exact,) = gateway.read_webhook(call_with(caller, readable))
    (unclear,) = gateway.read_webhook(call_with(caller, unreadable))
    (repeated,) = gateway.read_webhook(call_with(caller, unreadable))
    assert unclear.identity == repeated.identity != exact.identity
    assert exact.identity == exact.event_id
    assert len(unclear.identity) <= 200


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


UNITS = {GatewayName.VNPAY: 20_000_000, GatewayName.PAYPAL: 2_000}


@case("amount notations")
async def test_an_answer_may_write_its_amount_in_any_notation(
    http: Upstream, dialect: Dialect, counterpart: Counterpart
) -> None:
    unit = UNITS.get(dialect.name, 200_000)
    gateway = dialect.gateway(http)
    for amount in (unit, float(unit), str(unit), f"{unit}.0", f"{unit}.00"):
        counterpart.will(inquiry_answer(dialect, amount))
        evidence = await gateway.inquire(attempt(dialect.name), now=NOW)
        assert (evidence.result, evidence.money) == (
            GatewayResult.PAID,
            requested_money(dialect.name),
        ), amount


@case("amount notations")
async def test_an_answer_with_an_unreadable_amount_is_paid_with_its_text(
    http: Upstream, dialect: Dialect, counterpart: Counterpart
) -> None:
    unit = UNITS.get(dialect.name, 200_000)
    gateway = dialect.gateway(http)
    for amount in (unit + 0.5, f"{unit:,}", "200.0000", "2e9"):
        counterpart.will(inquiry_answer(dialect, amount))
        evidence = await gateway.inquire(attempt(dialect.name), now=NOW)
        assert (evidence.result, evidence.money) == (GatewayResult.PAID, None), amount
        assert str(amount) in (evidence.unreadable or "")


@case("amount notations")
async def test_the_answer_to_a_refund_may_write_its_amount_in_any_notation(
    http: Upstream, dialect: Dialect, counterpart: Counterpart
) -> None:
    gateway = cast("RefundingGateway", dialect.gateway(http))
    paid = replace(attempt(dialect.name), gateway_id=dialect.gateway_id)
    amounts: list[Any] = [50_000.0, "50000", "50000.00"]
    match dialect.name:
        case GatewayName.VNPAY:
            acts = [
                vnpay_answer(amount, "refund") for amount in ("5000000.0", 5_000_000, 5_000_000.0)
            ]
        case GatewayName.PAYPAL:
            amount = {"currency_code": "USD", "value": 1.93}
            acts = [says(paypal.refund() | {"amount": amount}, 201)]
        case _:
            acts = [dialect.refund_answer(amount) for amount in amounts]
    for act in acts:
        counterpart.will(act)
        evidence = await gateway.refund(paid, reversal(dialect.name), whole=False, now=NOW)
        assert evidence.result is GatewayResult.PAID
