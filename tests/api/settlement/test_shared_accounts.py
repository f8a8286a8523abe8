"""Another program's lines in the settlement file of an account that we share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from integrations.settlement import BadFile
from mobinet.verify import verify
from tests.support.gateways.shared_accounts import (
    SHARED,
    api_settings,
    at_each,
    cases,
    introduced,
    tell,
    unshared,
)
from tests.support.requests.foreign_lines import day, line, sums
from tests.support.requests.settlement import Desk
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]
__all__ = ["api_settings", "introduced", "unshared"]  # fixtures of this module alone

JSON = {"accept": "application/json"}


def test_foreign_lines_are_counted_with_their_sums_and_are_no_cases(api: Api, desk: Desk) -> None:
    paid = api.new_payment(method="CARD")
    desk.sandbox.pay(reference=paid["gatewayReference"])
    ours = desk.file("stripe")
    lines = [
        *ours,
        line("ORDER-1", 10_000),
        line("ORDER-2", 20_000),
        line("ORDER-2", 5_000, kind="refund", gateway_id="re_2"),
        line("ORDER-3", 1_999, currency="USD"),
    ]
    before = cases(api)
    done = desk.imports(*lines, gateway="stripe")
    assert (done.lines, done.cases, cases(api)) == (len(lines), 0, before)
    assert {str(item): many for item, many in done.results.items()} == {
        "MATCHED": len(ours), "FOREIGN": 4,
    }  # fmt: skip
    found = day(api, "STRIPE")
    assert found["status"] == "MATCHED"
    assert found["counts"] == {
        "matched": len(ours), "amountDiffers": 0, "oursOnly": 0, "theirsOnly": 0, "duplicate": 0,
    }  # fmt: skip
    assert sums(api, "STRIPE") == {
        ("PAYMENT", "VND", 2, 30_000),
        ("REFUND", "VND", 1, 5_000),
        ("PAYMENT", "USD", 1, 1_999),
    }
    assert {item["result"] for item in found["all"]} == {"MATCHED"}, "they crowd out no difference"
    some = day(api, "STRIPE", ["FOREIGN"])["some"]
    assert {(item["reference"], item["theirs"], item["ours"], item["caseId"]) for item in some} == {
        ("ORDER-1", 10_000, None, None),
        ("ORDER-2", 20_000, None, None),
        ("ORDER-2", 5_000, None, None),
        ("ORDER-3", 1_999, None, None),
    }
    again = desk.imports(*lines, "", gateway="stripe")
    assert (again.known_lines, again.cases, again.results) == (len(lines), 0, {})
    assert day(api, "STRIPE") == found


def test_a_foreign_line_is_counted_once_whatever_rounds_it_or_gives_it_no_number(
    api: Api, desk: Desk
) -> None:
    theirs = line("ORDER-rounded", 7_000, gateway_id="")
    moment = datetime.fromisoformat(theirs.rpartition(",")[2])
    rounded = line("ORDER-rounded", 7_000, gateway_id="", at=moment.replace(second=0).isoformat())
    desk.imports(theirs, gateway="paypal")
    before = sums(api, "PAYPAL")
    assert desk.imports(rounded, gateway="paypal").known_lines == 1
    assert sums(api, "PAYPAL") == before == {("PAYMENT", "VND", 1, 7_000)}


def test_a_sum_that_json_cannot_hold_is_null_and_its_lines_are_counted(
    api: Api, desk: Desk
) -> None:
    most = 2**53 - 1
    lines = [line(f"ORDER-most-{number}", most, currency="USD") for number in range(2)]
    desk.imports(lines[0], gateway="paypal")
    assert ("PAYMENT", "USD", 1, most) in sums(api, "PAYPAL")
    desk.imports(lines[1], gateway="paypal")
    assert ("PAYMENT", "USD", 2, None) in sums(api, "PAYPAL")


def test_a_line_that_names_nothing_is_taken_by_its_number(api: Api, desk: Desk) -> None:
    done = desk.imports(line("", 3_000, gateway_id="4088870001"), gateway="momo")
    assert (done.cases, {str(item) for item in done.results}) == (0, {"FOREIGN"})
    (item,) = day(api, "MOMO", ["FOREIGN"])["some"]
    assert item["reference"] == "4088870001"
    done = desk.imports(line("", 3_000, gateway_id=""), gateway="momo")
    assert (done.cases, {str(item) for item in done.results}) == (0, {"FOREIGN"})


@at_each
def test_a_line_of_our_form_without_an_attempt_is_theirs_only_and_a_case(
    api: Api, desk: Desk, gateway: str
) -> None:
    stray = f"MB01K1ABCDEFGH24{SHARED.index(gateway):04}"
    done = desk.imports(line(stray), gateway=gateway.lower())
    assert done.cases == 1
    (found,) = [item for item in day(api, gateway)["all"] if item["reference"] == stray]
    assert found["result"] == "THEIRS_ONLY"


def test_a_line_is_a_case_where_the_account_is_ours_alone(
    api: Api, desk: Desk, unshared: None
) -> None:
    done = desk.imports(line("ORDER-ours-alone"), gateway="momo")
    assert (done.cases, {str(item) for item in done.results}) == (1, {"THEIRS_ONLY"})
    with pytest.raises(BadFile, match="line 2, column reference"):
        desk.imports(line("", gateway_id="4088870002"), gateway="momo")


def test_a_line_that_was_a_case_before_the_account_was_shared_is_known_and_its_case_stays(
    api: Api, desk: Desk
) -> None:
    theirs, shared = line("ORDER-before"), api.context
    api.app.state.context = replace(shared, terms=replace(shared.terms, shared=frozenset()))
    assert desk.imports(theirs, gateway="momo").cases == 1
    api.app.state.context = shared
    before = cases(api)
    done = desk.imports(theirs, line("ORDER-after"), gateway="momo")
    results = {str(item): many for item, many in done.results.items()}
    assert (done.known_lines, results) == (1, {"FOREIGN": 1})
    assert cases(api) == before


def test_at_a_gateway_that_nobody_shares_a_foreign_line_is_a_case(api: Api, desk: Desk) -> None:
    assert desk.imports(line("ORDER-778"), gateway="vnpay").cases == 1


def test_the_receipt_says_the_same_after_foreign_notices_and_lines(api: Api, desk: Desk) -> None:
    paid = api.new_payment(method="MOMO")
    desk.sandbox.pay(reference=paid["gatewayReference"])
    path = "/pay/" + paid["confirmationLink"].rpartition("/")[2]
    before = api.http.get(path, headers=JSON).json()
    assert before["payload"]
    tell(api, "MOMO", "4711-last")
    desk.imports(*desk.file("momo"), line("4711-last"), gateway="momo")
    assert api.http.get(path, headers=JSON).json() == before


def test_after_all_this_every_invariant_of_the_books_holds(api: Api) -> None:
    """The last of this file: over everything that the tests above it have left."""
    findings: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
