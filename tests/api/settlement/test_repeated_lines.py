"""Repeated lines in later settlement files are recognised by content, even with rounded times."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from mobinet.verify import verify
from tests.support.requests.reversals import by_gateway, look, refund
from tests.support.requests.settlement import Desk, changed
from tests.support.running_api import CANCEL

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]

Payment = dict[str, Any]
JSON = {"accept": "application/json"}


def at(line: str) -> datetime:
    return datetime.fromisoformat(line.rpartition(",")[2])


def moved(line: str, moment: datetime, **but: Any) -> str:
    return changed(line, at=moment.isoformat(), **but)


def to_the_minute(line: str) -> str:
    return moved(line, at(line).replace(second=0, microsecond=0))


def a_whole_second(line: str, second: int = 7) -> str:
    """Return *line* with a past time that rounding to minutes changes."""
    return moved(line, at(line).replace(second=second, microsecond=0) - timedelta(minutes=2))


def results(desk: Desk, payment: Payment) -> list[str]:
    rows = desk.api.rows(
        "select result from settlement_line where reference = $1 order by id",
        payment["gatewayReference"],
    )
    return [row["result"] for row in rows]


def receipt(desk: Desk, payment: Payment) -> Any:
    path = "/pay/" + payment["confirmationLink"].rpartition("/")[2]
    return desk.api.http.get(path, headers=JSON).json()


@pytest.fixture
def qr(desk: Desk) -> Payment:
    return desk.pays()


# ── rounding ─────────────────────────────────────────────────────────────────────────────────────


def test_an_export_that_cuts_seconds_off_makes_no_case(desk: Desk) -> None:
    paid = [desk.pays() for _ in range(3)]
    exact = [
        a_whole_second(desk.line(item), second)
        for item, second in zip(paid, (7, 30, 59), strict=True)
    ]
    assert desk.imports(*exact).cases == 0
    rows = [desk.of(item) for item in paid]
    receipts = [receipt(desk, item) for item in paid]
    result = desk.imports(*[to_the_minute(line) for line in exact])
    assert (result.lines, result.known_lines, result.cases, result.results) == (3, 3, 0, {})
    assert [desk.of(item) for item in paid] == rows
    assert [desk.cases(item) for item in paid] == [[], [], []]
    assert [receipt(desk, item) for item in paid] == receipts


def test_an_export_that_is_more_exact_than_an_earlier_one_makes_no_case(
    desk: Desk, qr: Payment
) -> None:
    line = a_whole_second(desk.line(qr))
    desk.imports(to_the_minute(line))
    assert desk.imports(line).known_lines == 1
    assert desk.imports(moved(line, at(line).replace(microsecond=123_456))).known_lines == 1
    assert (results(desk, qr), desk.cases(qr)) == (["MATCHED"], [])


def test_an_export_that_rounds_up_makes_no_case(desk: Desk, qr: Payment) -> None:
    line = a_whole_second(desk.line(qr), 43)
    desk.imports(line)
    assert desk.imports(moved(line, at(line) + timedelta(seconds=17))).known_lines == 1
    assert (results(desk, qr), desk.cases(qr)) == (["MATCHED"], [])


def test_a_rounded_line_is_known_as_often_as_an_earlier_file_had_it(
    desk: Desk, qr: Payment
) -> None:
    line = a_whole_second(desk.line(qr))
    desk.imports(line, line)
    assert results(desk, qr) == ["MATCHED", "DUPLICATE"]
    cut = to_the_minute(line)
    assert desk.imports(cut, cut).known_lines == 2
    result = desk.imports(cut, cut, cut)
    assert (result.known_lines, result.cases) == (2, 1)
    assert results(desk, qr) == ["MATCHED", "DUPLICATE", "DUPLICATE"]


@pytest.mark.parametrize("apart", [timedelta(seconds=30), timedelta(minutes=2)])
def test_a_time_that_no_rounding_explains_is_compared_and_a_case(
    desk: Desk, qr: Payment, apart: timedelta
) -> None:
    line = a_whole_second(desk.line(qr))
    desk.imports(line)
    result = desk.imports(moved(line, at(line) - apart))
    assert (result.known_lines, result.cases) == (0, 1)
    assert (results(desk, qr), desk.cases(qr)) == (["MATCHED", "DUPLICATE"], ["SETTLEMENT"])


# ── another day ──────────────────────────────────────────────────────────────────────────────────


def test_the_same_number_on_another_day_is_compared_and_a_case(desk: Desk, qr: Payment) -> None:
    line = desk.line(qr)
    desk.imports(line)
    result = desk.imports(moved(line, at(line) - timedelta(days=1)))
    assert (result.known_lines, result.cases) == (0, 1)
    assert (results(desk, qr), desk.cases(qr)) == (["MATCHED", "DUPLICATE"], ["SETTLEMENT"])


def test_a_rounding_over_midnight_is_another_day(desk: Desk, qr: Payment) -> None:
    midnight = at(desk.line(qr)).replace(hour=0, minute=0, second=0, microsecond=0)
    line = moved(desk.line(qr), midnight - timedelta(seconds=20))
    desk.imports(line)
    result = desk.imports(moved(line, midnight))
    assert (result.known_lines, result.cases) == (0, 1)


# ── no number ────────────────────────────────────────────────────────────────────────────────────


def test_a_line_without_a_number_is_never_silently_known(desk: Desk, qr: Payment) -> None:
    line = desk.line(qr, gateway_id="")
    assert desk.imports(line).cases == 0
    result = desk.imports(line, desk.line(desk.pays()))
    assert (result.known_lines, result.cases) == (0, 1)
    assert (results(desk, qr), desk.cases(qr)) == (["MATCHED", "DUPLICATE"], ["SETTLEMENT"])


def test_the_same_file_again_changes_nothing_where_it_names_no_number(
    desk: Desk, qr: Payment
) -> None:
    path = desk.folder / "numberless.csv"
    path.write_text(
        f"reference,gateway_id,kind,amount,currency,status,at\n{desk.line(qr, gateway_id='')}\n"
    )
    desk.imports_file(path)
    before = desk.api.dump()
    assert desk.imports_file(path).imported_at is not None
    assert desk.api.dump() == before


def booked(desk: Desk, payment: Payment) -> list[tuple[str, int]]:
    rows = desk.api.rows(
        "select credit, amount from posting join entry on entry.id = entry where payment = $1"
        " order by posting.id",
        payment["id"],
    )
    return [(row["credit"], row["amount"]) for row in rows]


@pytest.mark.parametrize("amount", [10_000, None], ids=["too little", "after a cancellation"])
def test_money_without_a_number_that_comes_again_is_booked_once(
    desk: Desk, amount: int | None
) -> None:
    qr = desk.pays(outcome="nothing")
    if amount is None:
        desk.api.get(
            CANCEL, {"id": qr["id"], "reason": "khách đổi ý"}, token=desk.api.token("NV002")
        )
        desk.api.new_payment(contractNumber=qr["contractNumber"])
    desk.sandbox.pay(
        reference=qr["gatewayReference"],
        outcome="paid",
        amount=amount or qr["amount"],
        drop_webhook=True,
    )
    line = desk.line(qr, gateway_id="")
    desk.imports(line)
    before = booked(desk, qr)
    assert before == [("suspense", amount or qr["amount"])]
    result = desk.imports(line, desk.line(desk.pays()))
    assert (result.known_lines, result.cases) == (0, 1)
    assert booked(desk, qr) == before


@pytest.fixture
def twice_refunded(desk: Desk) -> tuple[Payment, list[str]]:
    """Return a payment with two equal refunds, and today's lines of these."""
    paid = by_gateway(desk.api, desk.sandbox)
    refund(desk.api, paid, 5000)
    refund(desk.api, paid, 5000)
    payment, *backs = [item for item in desk.file() if item.startswith(paid["gatewayReference"])]
    assert desk.imports(payment).cases <= len(backs), (
        "what the file does not name yet is ours alone"
    )
    return paid, backs


def of_refunds(desk: Desk, payment: Payment) -> list[tuple[str, str | None]]:
    rows = desk.api.rows(
        "select result, reversal from settlement_line where reference = $1 and kind = 'REFUND'"
        " and reported_amount is not null order by id",
        payment["gatewayReference"],
    )
    return [(row["result"], row["reversal"]) for row in rows]


def test_two_true_and_equal_refunds_on_two_days_stay_two(
    desk: Desk, twice_refunded: tuple[Payment, list[str]]
) -> None:
    paid, (item, other) = twice_refunded
    first = moved(item, at(item) - timedelta(days=1), gateway_id="")
    second = changed(other, gateway_id="")
    assert (desk.imports(first).cases, desk.imports(second).cases) == (0, 0)
    found = of_refunds(desk, paid)
    assert [result for result, _ in found] == ["MATCHED", "MATCHED"]
    assert {reversal for _, reversal in found} == {
        item["id"] for item in look(desk.api, paid)["reversals"]
    }
    result = desk.imports(second, desk.line(desk.pays()))
    assert (result.known_lines, result.cases) == (0, 1), "nothing of ours is left"


def test_two_true_and_equal_refunds_on_two_days_stay_two_under_one_number(
    desk: Desk, twice_refunded: tuple[Payment, list[str]]
) -> None:
    """Some gateways give a refund the number of its payment."""
    paid, (item, _) = twice_refunded
    second = changed(item, gateway_id="OF-THE-PAYMENT")
    first = moved(second, at(item) - timedelta(days=1))
    assert (desk.imports(first).cases, desk.imports(second).cases) == (0, 0)
    assert [result for result, _ in of_refunds(desk, paid)] == ["MATCHED", "MATCHED"]
    result = desk.imports(moved(second, at(item) - timedelta(days=2)))
    assert (result.known_lines, result.cases) == (0, 1), "nothing of ours is left"


def test_two_equal_refunds_that_a_rounding_makes_equal_stay_two(
    desk: Desk, twice_refunded: tuple[Payment, list[str]]
) -> None:
    paid, (item, _) = twice_refunded
    minute = to_the_minute(changed(item, gateway_id=""))
    assert desk.imports(minute, minute).cases == 0
    assert [result for result, _ in of_refunds(desk, paid)] == ["MATCHED", "MATCHED"]


@pytest.mark.parametrize("number", ["", "SETTLED-9"], ids=["no number", "a number of its own"])
def test_a_line_that_comes_again_is_no_evidence_for_another_refund(desk: Desk, number: str) -> None:
    """One of two equal refunds is settled; its repeated line does not prove the other."""
    paid = by_gateway(desk.api, desk.sandbox)
    result = refund(desk.api, paid, 5000)["reversal"]
    payment, back = [item for item in desk.file() if item.startswith(paid["gatewayReference"])]
    line = a_whole_second(changed(back, gateway_id=number))
    desk.imports(payment, line)
    assert of_refunds(desk, paid) == [("MATCHED", result["id"])]
    with desk.sandbox.broken("vnpay", "reset", after_processing=False):
        unsure = refund(desk.api, paid, 5000)["reversal"]
    assert unsure["status"] == "UNKNOWN"
    repeats = [line, to_the_minute(line)]
    if number:
        repeats.append(moved(line, at(line) - timedelta(days=1)))
    for repeat in repeats:
        desk.imports(repeat)
        statuses = {item["id"]: item["status"] for item in look(desk.api, paid)["reversals"]}
        assert statuses == {result["id"]: "DONE", unsure["id"]: "UNKNOWN"}
    true = moved(line, at(line) - timedelta(minutes=9), gateway_id=number and "SETTLED-10")
    assert desk.imports(true).cases == 0
    assert {item["status"] for item in look(desk.api, paid)["reversals"]} == {"DONE"}
    assert of_refunds(desk, paid)[-1] == ("MATCHED", unsure["id"])


def test_every_invariant_holds_after_the_tests_above(desk: Desk) -> None:
    """The last test of this module checks what all tests above it have written."""
    findings: list[str] = []
    settings = desk.api.settings
    holds = asyncio.run(
        verify(settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
