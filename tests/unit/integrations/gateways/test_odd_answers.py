"""Odd values in a gateway's answer: the evidence is storable or unknown, and never a fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gateways import Gateway, RefundingGateway
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.client import Upstream
from integrations.http.conversation import is_storable
from integrations.http.failures import Unanswered, Unreadable
from integrations.http.messages import Answer, Request
from tests.support.gateways.all_dialects import DIALECTS
from tests.support.gateways.counterpart import Act, Connection
from tests.support.gateways.dialects import NOW, ORDER, Dialect, attempt, reversal
from tests.support.gateways.vnpay import VNPayDialect

Odd = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "",
            "\x00",
            "9" * 400,
            "٢٠٠",
            "2e5",
            "200000.0",
            "-1",
            [],
            {},
            [[]],
            {"a": [{}]},
            10**400,
            -0.0,
            0,
            "COMPLETED",
            "succeeded",
            "paid",
            "00",
            9000,
            -1,
        ]
    )
)


class FixedAnswer:
    """An `Upstream` with one fixed answer, which ends like the real one."""

    def __init__(self, body: bytes, status: int) -> None:
        self.answer = Answer(status, body)

    def ready(self, _: str) -> bool:
        return True

    async def call(self, request: Request, read: Callable[[Answer], Any]) -> Any:
        try:
            return read(self.answer)
        except Unreadable as error:
            raise Unanswered("upstream", request.operation, str(error)) from error


def answer_of(act: Act) -> tuple[int, Any]:
    """Return the status and JSON that an act of a counterpart sends."""
    sent = bytearray()

    class Recorder:
        async def write(self, data: bytes) -> None:
            sent.extend(data)

    asyncio.run(cast("Any", act)(None, cast("Connection", Recorder())))
    head, _, body = bytes(sent).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every member in a JSON value."""
    keys = (
        value.keys()
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    below = [deeper for key in keys for deeper in paths(value[key], (*path, key))]
    return ([path] if path else []) + below


def with_changes(content: Any, changes: list[tuple[int, Any]]) -> Any:
    """Return a copy of *content* in which members are replaced, each chosen by its number."""
    content = json.loads(json.dumps(content))
    for number, value in changes:
        members = paths(content)
        if not members:
            break
        parent = content
        *path, name = members[number % len(members)]
        for key in path:
            parent = parent[key]
        parent[name] = deepcopy(value)
    return content


async def start(gateway: Gateway, dialect: Dialect) -> Evidence:
    return await gateway.start(attempt(dialect.name), ORDER, now=NOW)


async def inquire(gateway: Gateway, dialect: Dialect) -> Evidence:
    return await gateway.inquire(attempt(dialect.name), now=NOW)


async def refund(gateway: Gateway, dialect: Dialect) -> Evidence:
    paid = replace(attempt(dialect.name), gateway_id=dialect.gateway_id)
    refunding = cast("RefundingGateway", gateway)
    return await refunding.refund(paid, reversal(dialect.name), whole=False, now=NOW)


async def inquire_refund(gateway: Gateway, dialect: Dialect) -> Evidence:
    paid = replace(attempt(dialect.name), gateway_id=dialect.gateway_id)
    refunding = cast("RefundingGateway", gateway)
    return await refunding.inquire_refund(paid, reversal(dialect.name), known=(), now=NOW)


REQUESTS: dict[str, tuple[Any, Callable[[Dialect], Act]]] = {
    "start": (start, lambda dialect: dialect.acceptance()),
    "decline": (start, lambda dialect: dialect.decline()),
    "inquire": (inquire, lambda dialect: dialect.inquiry_answer("paid")),
    "unknown": (inquire, lambda dialect: dialect.unknown_reference()),
    "refund": (refund, lambda dialect: dialect.refund_answer(50_000)),
    "inquire refund": (inquire_refund, lambda dialect: dialect.inquiry_answer("paid")),
}


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@settings(max_examples=60, deadline=None, database=None)
@given(changes=st.lists(st.tuples(st.integers(0, 400), Odd), min_size=1, max_size=3))
def test_odd_values_in_an_answer_are_storable_or_unknown(
    dialect: Dialect, operation: str, changes: list[tuple[int, Any]]
) -> None:
    send, answers = REQUESTS[operation]
    status, content = answer_of(answers(dialect))
    content = with_changes(content, changes)
    if (
        isinstance(dialect, VNPayDialect)
        and isinstance(content, dict)
        and "vnp_SecureHash" in content
    ):
        texts = {name: value for name, value in content.items() if isinstance(value, str)}
        if "vnp_Command" not in texts:
            return  # no such answer is signed
        content = dialect.signed(texts)
    gateway = dialect.gateway(cast("Upstream", FixedAnswer(json.dumps(content).encode(), status)))
    evidence = asyncio.run(send(gateway, dialect))
    assert is_storable(evidence)
    if evidence.result is GatewayResult.PAID and evidence.money is not None:
        assert type(evidence.money.amount) is int
        assert evidence.money.amount >= 0
    if operation == "start":
        assert evidence.result is not GatewayResult.PAID or dialect.name == "STRIPE"
