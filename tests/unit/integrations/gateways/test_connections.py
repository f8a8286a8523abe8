"""Every gateway's `start` and `refund` over the pooled transport: sent once, and never confused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from domain.gateways import Gateway, RefundingGateway
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.client import Timeouts, Upstream
from tests.support.gateways.all_dialects import DIALECTS
from tests.support.gateways.dialects import NOW, ORDER, Dialect, attempt, reversal
from tests.support.raw.server import (
    OK,
    WITHOUT_ANSWER,
    Peer,
    Serve,
    answers,
    raw_server,
    reads_and_is_silent,
)

TIMEOUTS = Timeouts(connect=1.0, read=0.2, total=1.0)


async def start(gateway: Gateway) -> Evidence:
    return await gateway.start(attempt(gateway.name), ORDER, now=NOW)


async def refund(gateway: Gateway) -> Evidence:
    assert isinstance(gateway, RefundingGateway)
    paid = replace(attempt(gateway.name), gateway_id="1" * 10)
    evidence = await gateway.refund(paid, reversal(gateway.name), whole=False, now=NOW)
    assert isinstance(evidence, Evidence)
    return evidence


every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
both = pytest.mark.parametrize("operation", [start, refund])
Operation = Callable[[Gateway], Awaitable[Evidence]]


@every_dialect
@both
@pytest.mark.parametrize("serve", WITHOUT_ANSWER.values(), ids=WITHOUT_ANSWER)
async def test_a_charge_or_refund_without_a_whole_answer_is_unknown_and_sent_once(
    serve: Serve, operation: Operation, dialect: Dialect
) -> None:
    async with raw_server(serve) as server:
        http = Upstream("raw", server.url, timeouts=TIMEOUTS)
        evidence = await operation(dialect.gateway(http))
        assert (evidence.result, evidence.failure) == (GatewayResult.UNKNOWN, None)
        assert (server.connections, len(server.requests) <= 1) == (1, True)
        await http.aclose()


@every_dialect
@both
async def test_a_charge_or_refund_that_no_connection_carried_is_not_connected(
    operation: Operation, dialect: Dialect
) -> None:
    async with raw_server(answers(OK)) as server:
        url = server.url
    http = Upstream("raw", url, timeouts=TIMEOUTS)
    assert (await operation(dialect.gateway(http))).result is GatewayResult.NOT_CONNECTED
    await http.aclose()


@every_dialect
@both
async def test_a_charge_or_refund_on_a_connection_that_dies_is_unknown_and_sent_once(
    operation: Operation, dialect: Dialect
) -> None:
    async def dies_after_an_answer(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        await peer.request()
        peer.reset()

    async with raw_server(dies_after_an_answer) as server:
        http = Upstream("raw", server.url, timeouts=TIMEOUTS)
        gateway = dialect.gateway(http)
        await operation(gateway)  # its answer cannot be understood, and leaves a connection
        assert (await operation(gateway)).result is GatewayResult.UNKNOWN
        assert (server.connections, len(server.requests)) == (1, 2)
        await http.aclose()


@every_dialect
@both
async def test_a_second_answer_never_answers_the_next_charge_or_refund(
    operation: Operation, dialect: Dialect
) -> None:
    surplus = OK.replace(b"200 OK", b"422 No")  # would be a decline

    async def answers_twice(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.write(OK + surplus)
        await reads_and_is_silent(peer)

    async with raw_server(answers_twice) as server:
        http = Upstream("raw", server.url, timeouts=TIMEOUTS)
        gateway = dialect.gateway(http)
        for _ in range(2):
            assert (await operation(gateway)).result is GatewayResult.UNKNOWN
        assert server.connections == 2
        await http.aclose()
