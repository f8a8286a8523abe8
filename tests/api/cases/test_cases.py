"""The list of cases: its pages, the fields of a case, and the metrics about open cases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways.calls import call, ipn, qr, signed
from tests.support.refusals import without_effect
from tests.support.requests.cases import CASES, SUSPICION, TOO_LATE, of, seen
from tests.support.running_api import Api, Sandbox

pytest_plugins = ["tests.support.running_api"]
__all__ = ["qr"]


def paid_little(api: Api, payment: dict[str, Any], amount: int) -> None:
    assert call(api, signed(ipn(payment, vnp_Amount=str(amount * 100)))) == "04"


def test_a_case_shows_its_subject_and_a_suggested_decision(api: Api, qr: dict[str, Any]) -> None:
    paid_little(api, qr, qr["amount"] - 1)
    found = of(api, qr)
    assert {name: found[name] for name in ("kind", "status", "amount", "gateway", "owner")} == {
        "kind": "AMOUNT_MISMATCH",
        "status": "OPEN",
        "amount": qr["amount"] - 1,
        "gateway": "VNPAY",
        "owner": "FINANCE",
    }
    assert found["suggestion"] == "REFUND"
    assert found["approvals"] == []
    assert found["decision"] is found["resolvedAt"] is None
    assert 0 <= found["ageSeconds"] < 60
    assert found["about"].isdigit(), "the gateway's own number of the money"


def test_pages_are_newest_first_and_neither_skip_nor_repeat(api: Api) -> None:
    held = [api.new_payment(method="VNPAY_QR") for _ in range(5)]
    for item in held:
        paid_little(api, item, 1)
    walked: list[str] = []
    after = None
    while True:
        page = api.get(CASES, {"first": 2, "after": after}, token=api.token("FI001"))
        walked += [edge["node"]["id"] for edge in page["edges"]]
        if len(walked) == 2:  # a new case does not shift the pages
            paid_little(api, api.new_payment(method="VNPAY_QR"), 1)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    rows = api.rows('select id from money_case order by opened_at desc, id collate "C" desc')
    assert walked == [row["id"] for row in rows][1:]
    newest = [item["paymentId"] for item in seen(api, first=100)]
    assert newest[1:6] == [item["id"] for item in reversed(held)]


def test_a_page_can_be_limited_to_one_status(api: Api, qr: dict[str, Any]) -> None:
    paid_little(api, qr, 1)
    assert {item["status"] for item in seen(api, status="OPEN")} == {"OPEN"}
    assert seen(api, status="RESOLVED") == []


def test_a_supervisor_sees_the_cases_of_the_teams_payments_only(api: Api) -> None:
    ours = api.new_payment("NV002", method="VNPAY_QR")
    theirs = api.new_payment(api.collector(), method="VNPAY_QR")
    for item in (ours, theirs):
        paid_little(api, item, 1)
    found = {item["paymentId"] for item in seen(api, by="SV001", first=100)}
    assert ours["id"] in found
    assert theirs["id"] not in found


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": 0}, "first"),
        ({"first": -1}, "first"),
        ({"after": "nonsense"}, "after"),
        ({"after": "WzFd"}, "after"),
    ],
)
def test_an_invalid_page_request_is_refused(
    api: Api, sandbox: Sandbox, given: dict[str, Any], field: str
) -> None:
    token = api.token("FI001")
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(CASES, given, token=token)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["details"]["field"] == field


def test_a_suspicion_about_an_ended_payment_under_two_codes_is_one_case(
    api: Api, qr: dict[str, Any]
) -> None:
    assert call(api, signed(ipn(qr, **TOO_LATE))) == "00"
    assert call(api, signed(ipn(qr, **SUSPICION))) == "00"
    other = {"vnp_ResponseCode": "00", "vnp_TransactionStatus": "04"}
    assert call(api, signed(ipn(qr, **other))) == "00"
    assert len([item for item in seen(api, first=100) if item["paymentId"] == qr["id"]]) == 1


def metric(api: Api, name: str, kind: str) -> float:
    wanted = f'{name}{{kind="{kind}"}} '
    (line,) = [
        splitline
        for splitline in api.http.get("/metrics").text.splitlines()
        if splitline.startswith(wanted)
    ]
    return float(line.removeprefix(wanted))


def test_the_metrics_show_the_number_and_the_age_of_open_cases(api: Api) -> None:
    before = metric(api, "mobinet_cases_open", "CURRENCY_MISMATCH")
    assert before == 0
    assert metric(api, "mobinet_cases_oldest_seconds", "CURRENCY_MISMATCH") == 0
    known = metric(api, "mobinet_cases_open", "AMOUNT_MISMATCH")
    paid_little(api, api.new_payment(method="VNPAY_QR"), 1)
    assert metric(api, "mobinet_cases_open", "AMOUNT_MISMATCH") == known + 1
    assert metric(api, "mobinet_cases_oldest_seconds", "AMOUNT_MISMATCH") > 0
