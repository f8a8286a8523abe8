"""What a gateway answers with odd values in it: evidence that can be kept, or nothing; never a fault, and no money by accident."""

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

from domain.gateways import Gateway, Refunds
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.client import Answer, Unanswered, Unreadable, Upstream
from integrations.http.conversation import is_kept
from tests.support.gateways.all_dialects import DIALECTS
from tests.support.gateways.counterpart import Act, Connection
from tests.support.gateways.dialects import NOW, ORDER, Dialect, VNPayDialect, attempt, reversal

Odd = (
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | st.text(max_size=12)
    | st.sampled_from(["", "\x00", "9" * 400, "٢٠٠", "2e5", "200000.0", "-1", [], {}, [[]], {"a": [{}]},
                       10**400, -0.0, 0, "COMPLETED", "succeeded", "paid", "00", 9000, -1])
)  # fmt: skip


class Answers:
    """An `Upstream` that was answered already: it only reads, and ends as the true one does."""

    def __init__(self, body: bytes, status: int) -> None:
        self.answer = Answer(status, body)

    def ready(self, _: str) -> bool:
        return True

    async def call(
        self, operation: str, *_: object, read: Callable[[Answer], Any], **__: object
    ) -> Any:
        try:
            return read(self.answer)
        except Unreadable as error:
            raise Unanswered("them", operation, str(error)) from error


def written(act: Act) -> tuple[int, Any]:
    """Return what an act of a counterpart would have sent: its status, and its JSON."""
    sent = bytearray()

    class Paper:
        async def write(self, data: bytes) -> None:
            sent.extend(data)

    asyncio.run(cast("Any", act)(None, cast("Connection", Paper())))
    head, _, body = bytes(sent).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()  # fmt: skip
    below = [deeper for key in keys for deeper in places(value[key], (*path, key))]
    return ([path] if path else []) + below


def changed(told: Any, spots: list[tuple[int, Any]]) -> Any:
    told = json.loads(json.dumps(told))
    for number, new in spots:
        where = places(told)
        if not where:
            break
        inner = told
        *path, last = where[number % len(where)]
        for key in path:
            inner = inner[key]
        inner[last] = deepcopy(new)
    return told


async def start(gateway: Gateway, dialect: Dialect) -> Evidence:
    return await gateway.start(attempt(dialect.name), ORDER, now=NOW)


async def inquire(gateway: Gateway, dialect: Dialect) -> Evidence:
    return await gateway.inquire(attempt(dialect.name), now=NOW)


async def refund(gateway: Gateway, dialect: Dialect) -> Evidence:
    paid = replace(attempt(dialect.name), gateway_id=dialect.gateway_id)
    back = cast("Refunds", gateway)
    return await back.refund(paid, reversal(dialect.name), whole=False, now=NOW)


async def inquire_refund(gateway: Gateway, dialect: Dialect) -> Evidence:
    paid = replace(attempt(dialect.name), gateway_id=dialect.gateway_id)
    back = cast("Refunds", gateway)
    return await back.inquire_refund(paid, reversal(dialect.name), known=(), now=NOW)


ASKED: dict[str, tuple[Any, Callable[[Dialect], Act]]] = {
    "start": (start, lambda dialect: dialect.acceptance()),
    "decline": (start, lambda dialect: dialect.decline()),
    "inquire": (inquire, lambda dialect: dialect.inquiry_answer("paid")),
    "unknown": (inquire, lambda dialect: dialect.unknown_reference()),
    "refund": (refund, lambda dialect: dialect.refund_answer(50_000)),
    "inquire refund": (inquire_refund, lambda dialect: dialect.inquiry_answer("paid")),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@settings(max_examples=60, deadline=None, database=None)
@given(spots=st.lists(st.tuples(st.integers(0, 400), Odd), min_size=1, max_size=3))
def test_odd_values_in_an_answer_are_read_or_passed_over(
    dialect: Dialect, asked: str, spots: list[tuple[int, Any]]
) -> None:
    ask, answers = ASKED[asked]
    status, told = written(answers(dialect))
    told = changed(told, spots)
    if isinstance(dialect, VNPayDialect) and isinstance(told, dict) and "vnp_SecureHash" in told:
        plain = {name: value for name, value in told.items() if isinstance(value, str)}
        if "vnp_Command" not in plain:
            return  # nobody signs that
        told = dialect.signed(plain)
    gateway = dialect.gateway(cast("Upstream", Answers(json.dumps(told).encode(), status)))
    said = asyncio.run(ask(gateway, dialect))
    assert is_kept(said)
    if said.result is GatewayResult.PAID and said.money is not None:
        assert type(said.money.amount) is int
        assert said.money.amount >= 0
    if asked == "start":
        assert said.result is not GatewayResult.PAID or dialect.name == "STRIPE"
