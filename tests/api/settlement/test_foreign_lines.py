"""Odd lines of other programs in the settlement file of an account that we share."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.calendar import business_date
from domain.settlement import SettlementResult
from integrations.settlement import BadFile
from mobinet.verify import verify
from tests.support.gateways.shared_accounts import (
    api_settings,
    cases,
    introduced,
    unshared,
)
from tests.support.requests.foreign_lines import day, line, sums
from tests.support.requests.settlement import HEADER, Desk
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]
__all__ = ["api_settings", "introduced", "unshared"]  # fixtures of this module alone

TOMORROW = (datetime.now(UTC) + timedelta(days=2)).isoformat()
ODD = {
    "currency": line("ORDER-odd-1", 1_999, currency="EUR"),
    "amount": line("ORDER-odd-2", currency="USD").replace("17470", "17.47"),
    "kind": line("ORDER-odd-3", 5_000, kind="chargeback"),
    "status": line("ORDER-odd-4", 5_000, status="failed"),
    "reference": line("ORDER-" + "5" * 300, 5_000),
    "gateway_id": line("ORDER-odd-6", 5_000, gateway_id=" re_6"),
    "at": line("ORDER-odd-7", 5_000, at="yesterday"),
    "future": line("ORDER-odd-8", 5_000, at=TOMORROW),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_line_of_another_program_does_not_refuse_the_file(
    api: Api, desk: Desk, what: str
) -> None:
    paid = api.new_payment(method="CARD")
    desk.sandbox.pay(reference=paid["gatewayReference"])
    ours = desk.file("stripe")
    before = cases(api)
    done = desk.imports(*ours, ODD[what], gateway="stripe")
    assert (done.lines, done.known_lines, done.cases) == (len(ours) + 1, len(ours) - 1, 0)
    assert {str(item): many for item, many in done.results.items()} == {"MATCHED": 1, "FOREIGN": 1}
    assert cases(api) == before


def test_odd_lines_are_counted_and_summed_where_they_can_be_read(api: Api, desk: Desk) -> None:
    before = sums(api, "PAYPAL")
    done = desk.imports(line("ORDER-plain", 100), *ODD.values(), gateway="paypal")
    assert {str(item): many for item, many in done.results.items()} == {"FOREIGN": 1 + len(ODD)}
    assert sums(api, "PAYPAL") - before == {
        ("PAYMENT", None, 1, None),  # EUR
        ("PAYMENT", "USD", 1, None),  # 17.47
        (None, "VND", 1, 5_000),  # chargeback
        ("PAYMENT", "VND", 1, None),  # failed: no money moved
        ("PAYMENT", "VND", 4, 15_100),
    }
    assert day(api, "PAYPAL")["status"] == "MATCHED"


def test_an_odd_line_is_counted_once_as_often_as_one_file_has_it(api: Api, desk: Desk) -> None:
    odd = line("ORDER-twice", 1_999, currency="EUR")
    first = desk.imports(odd, odd, gateway="momo")
    assert {str(item): many for item, many in first.results.items()} == {"FOREIGN": 2}
    second = desk.imports(odd, odd, odd, gateway="momo")
    assert (second.known_lines, {str(item): many for item, many in second.results.items()}) == (
        2, {"FOREIGN": 1},
    )  # fmt: skip
    assert ("PAYMENT", None, 3, None) in sums(api, "MOMO")


@pytest.mark.parametrize("what", [name for name in ODD if name != "reference"])
def test_an_odd_line_with_a_reference_of_our_form_refuses_the_file(
    api: Api, desk: Desk, what: str
) -> None:
    reference = ODD[what].partition(",")[0]
    odd = ODD[what].replace(reference, "MB01K1ABCDEFGH24ODD1", 1)
    before = api.rows("select count(*) from settlement")
    column = "at" if what == "future" else what
    with pytest.raises(BadFile, match=f"line 2, column {column}"):
        desk.imports(odd, gateway="stripe")
    assert api.rows("select count(*) from settlement") == before


def test_an_odd_line_with_the_reference_of_an_attempt_refuses_the_file(
    api: Api, desk: Desk
) -> None:
    paid = api.new_payment(method="CARD")
    reference = "ORDER-of-ours"
    with pytest.raises(BadFile, match="line 2, column currency"):
        desk.imports(line(paid["gatewayReference"], currency="EUR"), gateway="stripe")
    api.rows(
        "update attempt set reference = $1 where reference = $2",
        reference, paid["gatewayReference"],
    )  # fmt: skip
    try:
        with pytest.raises(BadFile, match="line 2, column currency"):
            desk.imports(line(reference, currency="EUR"), gateway="stripe")
    finally:
        api.rows(
            "update attempt set reference = $2 where reference = $1",
            reference, paid["gatewayReference"],
        )  # fmt: skip


@pytest.mark.parametrize(
    "reference",
    ["ORDER\x07bell", " ORDER-blank", "ORDER-\u00a0", "ORDER-\udc80", "ORDER\x00", ""],
    ids=repr,
)
def test_a_line_whose_reference_cannot_be_read_is_another_programs(
    api: Api, desk: Desk, reference: str
) -> None:
    path = desk.folder / "unreadable.csv"
    text = f"{HEADER}\n{line(reference, currency='EUR', gateway_id='')}\n"
    path.write_bytes(text.encode(errors="surrogateescape"))
    done = desk.imports_file(path, gateway="stripe")
    assert (done.cases, {str(item): many for item, many in done.results.items()}) == (
        0, {"FOREIGN": 1},
    )  # fmt: skip


@pytest.mark.parametrize("reference", ["", "ORDER-of-another"])
def test_a_line_with_a_number_of_ours_is_never_another_programs(
    api: Api, desk: Desk, reference: str
) -> None:
    paid = api.new_payment(method="CARD")
    desk.sandbox.pay(reference=paid["gatewayReference"])
    desk.imports(*desk.file("stripe"), gateway="stripe")
    (row,) = api.rows(
        "select gateway_id from attempt where reference = $1", paid["gatewayReference"]
    )
    number = row["gateway_id"]
    done = desk.imports(line(reference, gateway_id=number), gateway="stripe")
    assert (done.cases, {str(item): many for item, many in done.results.items()}) == (
        1, {"THEIRS_ONLY": 1},
    )  # fmt: skip
    with pytest.raises(BadFile, match="line 2, column currency"):
        desk.imports(line(reference, gateway_id=number, currency="EUR"), gateway="stripe")


def test_another_programs_line_of_a_later_day_is_counted_once(api: Api, desk: Desk) -> None:
    late = line("ORDER-late", 5_000, at=TOMORROW)
    done = desk.imports(line("ORDER-now", 100), late, gateway="momo")
    assert {str(item): many for item, many in done.results.items()} == {"FOREIGN": 2}
    again = desk.imports(late, line("ORDER-now", 200), gateway="momo")
    assert (again.known_lines, dict(again.results)) == (1, {SettlementResult.FOREIGN: 1})
    (row,) = api.rows("select * from settlement order by imported_at desc limit 1")
    assert row["last_day"] == business_date(datetime.now(UTC))


def test_an_odd_line_refuses_the_file_where_the_account_is_ours_alone(
    api: Api, desk: Desk, unshared: None
) -> None:
    with pytest.raises(BadFile, match="line 2, column currency"):
        desk.imports(ODD["currency"], gateway="stripe")


def test_another_programs_wrong_year_widens_no_file(api: Api, desk: Desk) -> None:
    today = business_date(datetime.now(UTC))
    long_ago = line("ORDER-1999", 1_000, at="1999-03-04T12:06:07+07:00")
    recent = (datetime.now(UTC) - timedelta(days=20)).isoformat()
    older = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    lines = [
        line("ORDER-today", 1_000),
        line("ORDER-20", 1_000, at=recent),
        line("ORDER-40", 1_000, at=older),
        long_ago,
    ]
    done = desk.imports(*lines, gateway="paypal")
    assert {str(item): many for item, many in done.results.items()} == {"FOREIGN": len(lines)}
    (row,) = api.rows("select * from settlement order by imported_at desc limit 1")
    assert (row["first_day"], row["last_day"]) == (today - timedelta(days=20), today)


@pytest.mark.parametrize("odd", [False, True], ids=["readable", "odd"])
def test_another_programs_line_of_a_day_that_no_file_covers_imports_no_day(
    api: Api, desk: Desk, odd: bool
) -> None:
    moment = datetime.now(UTC) - timedelta(days=400 + odd)
    old = line(f"ORDER-old-{odd}", 1_000, at=moment.isoformat(), currency="EUR" if odd else "VND")
    desk.imports(line(f"ORDER-new-{odd}", 1_000), old, gateway="momo")
    found = day(api, "MOMO", date=business_date(moment))
    assert found["status"] == "NOT_IMPORTED"
    assert [item["count"] for item in found["foreign"]] == [1], "it is counted on its own day"


def test_a_file_of_odd_lines_without_any_day_asks_for_its_date(api: Api, desk: Desk) -> None:
    with pytest.raises(BadFile, match="--date"):
        desk.imports(ODD["at"], gateway="momo")


@pytest.mark.invariant(29)
def test_a_foreign_line_is_never_changed(api: Api, desk: Desk) -> None:
    desk.imports(line("ORDER-stays", 1_999, currency="EUR"), gateway="stripe")
    for statement in ("update foreign_line set amount = 1", "delete from foreign_line"):
        with pytest.raises(asyncpg.RaiseError, match="never"):
            api.rows(statement)


def test_after_odd_lines_every_invariant_holds(api: Api) -> None:
    findings: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
