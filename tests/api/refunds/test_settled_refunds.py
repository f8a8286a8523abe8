"""Refunds compared with the gateway's settlement file."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import ReversalStatus
from mobinet.verify import verify
from resolvers import refund_execution
from tests.support.requests.decisions import is_free
from tests.support.requests.reversals import by_gateway, look, postings, refund
from tests.support.requests.settlement import Desk, changed

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]

gateways = pytest.mark.parametrize("method", ["VNPAY_QR", "FPT_PAY"])


def settled(desk: Desk, payment: dict[str, Any], *lines: str) -> list[tuple[str, str]]:
    """Import *lines* or the day's file; return the kind and result of each line of *payment*."""
    gateway = payment["gateway"].lower()
    desk.imports(*(lines or desk.file(gateway)), gateway=gateway)
    return [(item["kind"], item["result"]) for item in desk.of(payment)]


def of(desk: Desk, payment: dict[str, Any]) -> list[str]:
    lines = desk.file(payment["gateway"].lower())
    return [line for line in lines if line.startswith(payment["gatewayReference"])]


@gateways
def test_a_refund_that_both_sides_know_matches_by_its_number(desk: Desk, method: str) -> None:
    paid = by_gateway(desk.api, desk.sandbox, method)
    part = paid["amount"] // 3
    refunds = [refund(desk.api, paid, part)["reversal"], refund(desk.api, paid, part)["reversal"]]
    assert {item["status"] for item in refunds} == {"DONE"}
    payment, first, second = of(desk, paid)
    assert settled(desk, paid, payment, second, first) == [
        ("PAYMENT", "MATCHED"), ("REFUND", "MATCHED"), ("REFUND", "MATCHED"),
    ]  # fmt: skip
    assert desk.cases(paid) == []
    rows = desk.api.rows(
        "select reversal, gateway_id from settlement_line where payment = $1 and kind = 'REFUND'",
        paid["id"],
    )
    numbers = desk.api.rows("select id, gateway_id from reversal where payment = $1", paid["id"])
    assert {tuple(row) for row in rows} == {tuple(row) for row in numbers}


@gateways
def test_a_refund_of_unknown_outcome_is_done_by_the_gateways_file(desk: Desk, method: str) -> None:
    """Hard case 24: unknown, then proven."""
    paid = by_gateway(desk.api, desk.sandbox, method)
    with desk.sandbox.broken(paid["gateway"].lower(), "reset", after_processing=True):
        assert refund(desk.api, paid)["reversal"]["status"] == "UNKNOWN"
    assert settled(desk, paid) == [("PAYMENT", "MATCHED"), ("REFUND", "MATCHED")]
    (reversal,) = look(desk.api, paid)["reversals"]
    assert reversal["status"] == "DONE"
    assert [credit for _, credit, _ in postings(desk.api, paid)][-1] != "customer_receivable"
    assert len(postings(desk.api, paid)) == 2
    assert desk.cases(paid) == []


def failed(desk: Desk, paid: dict[str, Any], *, made: bool) -> str:
    """Return the id of a full refund that failed here; *made* tells whether the gateway made it."""
    with desk.sandbox.broken("vnpay", "reset", after_processing=made):
        reversal = refund(desk.api, paid)["reversal"]
    evidence = Evidence(source=EvidenceSource.INQUIRY, origin="test", result=GatewayResult.DECLINED)
    after = desk.api.run(
        refund_execution.apply_evidence(desk.api.context, reversal["id"], evidence)
    )
    assert after.status is ReversalStatus.FAILED
    assert not is_free(desk.api, paid)
    return reversal["id"]


def test_a_failed_refund_that_was_made_is_done_by_the_gateways_file(
    desk: Desk,
) -> None:
    paid = by_gateway(desk.api, desk.sandbox)
    reversal_id = failed(desk, paid, made=True)
    assert settled(desk, paid) == [("PAYMENT", "MATCHED"), ("REFUND", "MATCHED")]
    (reversal,) = look(desk.api, paid)["reversals"]
    assert (reversal["status"], reversal["failureMessage"]) == ("DONE", None)
    assert postings(desk.api, paid)[2:] == [
        ("customer_receivable", "refunds_payable", paid["amount"]),
        ("refunds_payable", "gateway_clearing:vnpay", paid["amount"]),
    ]
    assert desk.cases(paid) == []
    refused = refund(desk.api, paid)["errors"]
    assert [item["code"] for item in refused] == ["AMOUNT_MISMATCH"], "nothing is left to refund"
    notification_jobs = (
        "select 1 from pgqueuer where entrypoint = 'report_reversal' and payload = $1"
    )
    assert len(desk.api.rows(notification_jobs, orjson.dumps({"subject": reversal_id}))) == 1
    assert is_free(desk.api, paid)


def test_a_failed_refund_that_was_made_and_repeated_is_a_case(
    desk: Desk,
) -> None:
    paid = by_gateway(desk.api, desk.sandbox)
    reversal_id = failed(desk, paid, made=False)
    assert refund(desk.api, paid)["reversal"]["status"] == "DONE"
    payment, back = of(desk, paid)
    twice = changed(back, gateway_id="77")
    assert settled(desk, paid, payment, back, twice) == [
        ("REFUND", "THEIRS_ONLY"), ("PAYMENT", "MATCHED"), ("REFUND", "MATCHED"),
    ]  # fmt: skip
    (case,) = desk.api.rows("select reversal from money_case where payment = $1", paid["id"])
    assert case["reversal"] == reversal_id
    statuses = {
        reversal["id"]: reversal["status"] for reversal in look(desk.api, paid)["reversals"]
    }
    assert (statuses.pop(reversal_id), *statuses.values()) == ("FAILED", "DONE")


def test_a_refund_that_no_file_names_is_ours_only_until_one_does(desk: Desk) -> None:
    paid = by_gateway(desk.api, desk.sandbox)
    reversal = refund(desk.api, paid)["reversal"]
    payment, back = of(desk, paid)
    assert settled(desk, paid, payment) == [("REFUND", "OURS_ONLY"), ("PAYMENT", "MATCHED")]
    (case,) = desk.api.rows("select kind, reversal from money_case where payment = $1", paid["id"])
    assert tuple(case) == ("SETTLEMENT", reversal["id"])
    assert set(settled(desk, paid, back)) == {("PAYMENT", "MATCHED"), ("REFUND", "MATCHED")}
    assert desk.cases(paid) == ["SETTLEMENT"]


def test_an_unknown_refund_is_theirs_only_and_a_case(desk: Desk) -> None:
    paid = by_gateway(desk.api, desk.sandbox)
    (line,) = of(desk, paid)
    theirs = changed(line, kind="refund", amount=1000, gateway_id="77")
    assert settled(desk, paid, line, theirs, theirs) == [
        ("REFUND", "THEIRS_ONLY"), ("REFUND", "DUPLICATE"), ("PAYMENT", "MATCHED"),
    ]  # fmt: skip
    assert desk.cases(paid) == ["SETTLEMENT", "SETTLEMENT"]


def test_a_refund_of_another_amount_differs(desk: Desk) -> None:
    paid = by_gateway(desk.api, desk.sandbox)
    refund(desk.api, paid, 5000)
    payment, back = of(desk, paid)
    assert settled(desk, paid, payment, changed(back, amount=4000)) == [
        ("REFUND", "AMOUNT_DIFFERS"), ("PAYMENT", "MATCHED"),
    ]  # fmt: skip
    assert desk.cases(paid) == ["SETTLEMENT"]


def test_every_invariant_holds_after_the_tests_above(desk: Desk) -> None:
    """The last test of this module checks what all tests above it have written."""
    report: list[str] = []
    holds = asyncio.run(
        verify(desk.api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert holds, "\n".join(report)
