"""The benchmarks' own rules, and bounds on round trips, calls and bytes of a request."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.client.http import Connection, Response
from benchmarks.load.figures import Intent
from benchmarks.load.truth import disagreements
from benchmarks.measures import ROWS
from benchmarks.measures.cash import count_round_trips
from benchmarks.pinned import ours
from benchmarks.report.ratios import RowResult, verdict
from benchmarks.report.table import terminal
from benchmarks.row import Goal, Metric, NotMeasured, Options, Row, Sample, Target
from benchmarks.running import start_targets
from benchmarks.supply import once

# Upper bounds of a payment or a read. Lower a bound when the code does better; raise none.
ROUND_TRIPS_OF_A_CASH_PAYMENT = 9
UPSTREAM_CALLS_OF_A_CASH_PAYMENT = 2
UPSTREAM_CALLS_OF_A_READ = 5
UPSTREAM_CALLS_OF_A_REPEATED_READ = 0
BYTES_AROUND_A_TYPENAME = 310


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of a stack without a worker."""

    cash: dict[str, float] | None
    """None where pg_stat_statements cannot be read."""
    read: int
    repeated_read: int
    typename: Response


@pytest.fixture(scope="module")
def counts() -> Iterator[Counts]:
    with tempfile.TemporaryDirectory(prefix="mobinet-counts-") as folder:
        yield asyncio.run(_counts(Path(folder)))


async def _counts(folder: Path) -> Counts:
    options = Options(seeded=0, warm_up=0)
    async with start_targets([ours(Path(sys.executable))], folder, options) as found:
        target = found["ours"]
        cash = None
        with suppress(NotMeasured):
            cash = (await count_round_trips(target, clients=4, payments=24)).values
        token = target.supply.collectors[0]
        number = {"contractNumber": target.supply.contract()}
        read = target.supply.request("CustomerBills", number, token)
        return Counts(
            cash=cash,
            read=await _upstream_calls(target, read),
            repeated_read=await _upstream_calls(target, read),
            typename=await once(target.stack.api, target.supply.typename(token)),
        )


async def _upstream_calls(target: Target, request: bytes) -> int:
    before = await target.supply.last_upstream_request()
    response = await once(target.stack.api, request)
    assert response.status == 200
    assert b'"errors"' not in response.body
    return await target.supply.last_upstream_request() - before


def test_a_cash_payment_makes_no_more_round_trips_than_before(counts: Counts) -> None:
    if counts.cash is None:
        pytest.skip("the server has no pg_stat_statements")
    # Background loops of the API make a few statements of their own.
    assert counts.cash["trips"] < ROUND_TRIPS_OF_A_CASH_PAYMENT + 1


def test_a_cash_payment_makes_no_more_upstream_calls_than_before(counts: Counts) -> None:
    if counts.cash is None:
        pytest.skip("the server has no pg_stat_statements")
    assert counts.cash["upstream"] <= UPSTREAM_CALLS_OF_A_CASH_PAYMENT


def test_a_read_makes_no_more_upstream_calls_than_before(counts: Counts) -> None:
    assert counts.read <= UPSTREAM_CALLS_OF_A_READ
    assert counts.repeated_read <= UPSTREAM_CALLS_OF_A_REPEATED_READ


def test_a_small_answer_is_small_with_all_its_headers(counts: Counts) -> None:
    response = counts.typename
    assert response.json()["data"] == {"__typename": "Query"}
    assert len(response.head) + len(response.body) <= BYTES_AROUND_A_TYPENAME


def test_an_incomplete_answer_is_lost_and_one_in_pieces_is_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert _read([answer[:30], answer[30:44], answer[44:]]).body == b"hello"
    assert _read([answer[:-1]]).status == 0


def _read(chunks: list[bytes]) -> Response:
    """Feed an answer to a connection in pieces, and then end the connection."""
    found: list[Response] = []

    class Transport(asyncio.Transport):
        def write(self, data: object) -> None: ...

        def abort(self) -> None: ...

    connection = Connection()
    connection.connection_made(Transport())
    connection.send(b"GET", found.append)
    for chunk in chunks:
        connection.data_received(chunk)
    connection.connection_lost(None)
    (response,) = found
    return response


def test_the_median_of_the_rounds_ratios_decides_the_verdict() -> None:
    metric = Metric(
        key="took",
        title="Took",
        unit="ms",
        goal=Goal(words="≥ 3 ×", first_half=3.0, second_half=9.0),
    )
    result = RowResult(_row(metric))
    for mine, theirs in ((10, 40), (10, 20), (5, 30)):
        result.add("ours", Sample({"took": mine}))
        result.add("pinned", Sample({"took": theirs}))
    ratio = result.times_better(metric, "pinned")
    assert ratio is not None
    assert (ratio.low, ratio.median, ratio.high) == (2, 4, 6)
    assert verdict(result, metric) == "first half"


def test_a_row_that_was_not_measured_has_its_reason() -> None:
    result = RowResult(_row(Metric(key="took", title="Took", unit="ms")))
    result.reasons["graphql-ws"] = "node and npm are not installed"
    assert "graphql-ws was not measured: node and npm are not installed" in terminal([result])


_PAYMENT = {
    "id": "TXN1",
    "status": "SUCCESS",
    "method": "VNPAY_QR",
    "amount": 5,
    "contract_number": "SGFDN2000",
    "key": "k1",
    "refs": '["R1"]',
}
_CHARGE = {"reference": "R1", "status": "paid", "amount": 5, "currency": "VND"}
_EFFECT = {"transaction_id": "TXN1", "times": 1}
_TRUTH = {
    "charges": [_CHARGE],
    "records": [_EFFECT],
    "debts": [_EFFECT],
    "messages": [_EFFECT],
    "conflicts": [],
}
_INTENT = Intent(key="k1", method="VNPAY_QR", amount=5, payment_id="TXN1", paid_by_customer=True)


def test_payments_that_all_systems_agree_on_have_no_disagreements() -> None:
    assert disagreements({"TXN1": _PAYMENT}, _TRUTH, [_INTENT]) == []


@pytest.mark.parametrize(
    ("payment", "outer_truth", "intent"),
    [
        ({"status": "PROCESSING"}, {}, {}),
        ({"amount": 6}, {}, {}),
        ({"refs": "[]"}, {}, {}),
        ({"key": "another"}, {}, {}),
        ({}, {"charges": []}, {}),
        ({}, {"charges": [_CHARGE, _CHARGE]}, {}),
        ({}, {"charges": [_CHARGE | {"amount": 6}]}, {}),
        ({}, {"records": []}, {}),
        ({}, {"records": [_EFFECT, _EFFECT]}, {}),
        ({}, {"debts": [_EFFECT | {"times": 2}]}, {}),
        ({}, {"debts": [_EFFECT, {"transaction_id": "TXN9", "times": 1}]}, {}),
        ({}, {"messages": [_EFFECT, _EFFECT]}, {}),
        ({}, {"conflicts": [{"system": "revenue", "detail": "paid before"}]}, {}),
        ({}, {}, {"payment_id": "TXN2"}),
    ],
)
def test_lost_doubled_or_invented_money_is_a_disagreement(
    payment: dict[str, object], outer_truth: dict[str, object], intent: dict[str, Any]
) -> None:
    books = {"TXN1": _PAYMENT | payment}
    assert disagreements(books, _TRUTH | outer_truth, [replace(_INTENT, **intent)]) != []


def test_every_row_has_a_unique_key_and_a_metric() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert all(row.metrics for row in ROWS)


def _row(*metrics: Metric) -> Row:
    async def nothing(_: Target) -> Sample:
        return Sample({})

    return Row(key="row", group="rows", title="A row", metrics=metrics, measure=nothing)
