"""The history of a payment: attempts, webhook events, entries and timeline."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers import jobs
from tests.support.gateways.calls import call, ipn, signed
from tests.support.running_api import Api, statements

pytest_plugins = ["tests.support.running_api"]

HISTORY = """
attempts { id gateway reference status sentAt answeredAt failure { code message } }
entries { id createdAt postings { account debit credit } }
timeline { sequence at actor action evidence fromStatus toStatus requestId }
webhookEvents { id gateway eventId outcome receivedAt }
notifications { id channel recipient status attempts sentAt }
"""
PAYMENT_HISTORY = f"query ($id: ID!) {{ payment(id: $id) {{ {HISTORY} }} }}"


def a_page(of: int) -> str:
    """Return the document of a page; a variable size would count as the largest page."""
    return f"query {{ payments(first: {of}) {{ edges {{ node {{ id {HISTORY} }} }} }} }}"


def history(api: Api, payment: dict[str, Any], *, by: str = "FI001") -> dict[str, Any]:
    return api.get(PAYMENT_HISTORY, {"id": payment["id"]}, token=api.token(by))


@pytest.fixture(scope="module")
def cash(api: Api) -> dict[str, Any]:
    return api.new_payment("NV002", customerPhone="0987654321")


@pytest.fixture(scope="module")
def scanned(api: Api) -> dict[str, Any]:
    """Return a QR that was paid, and whose webhook was handled."""
    qr = api.new_payment("NV002", method="VNPAY_QR")
    assert call(api, signed(ipn(qr))) == "00"
    return qr


def test_cash_has_one_entry_and_no_gateway_events(api: Api, cash: dict[str, Any]) -> None:
    found = history(api, cash)
    assert (found["attempts"], found["webhookEvents"]) == ([], [])
    (entry,) = found["entries"]
    assert entry["postings"] == [
        {"account": "staff_cash", "debit": cash["amount"], "credit": None},
        {"account": "customer_receivable", "debit": None, "credit": cash["amount"]},
    ]


def test_the_timeline_shows_who_did_what_in_the_order_of_the_rows(
    api: Api, cash: dict[str, Any]
) -> None:
    steps = history(api, cash)["timeline"]
    assert [(step["action"], step["fromStatus"], step["toStatus"]) for step in steps] == [
        ("create", None, "PENDING"),
        ("confirmCash", "PENDING", "SUCCESS"),
    ]
    assert {step["actor"] for step in steps} == {"NV002"}
    assert steps[0]["sequence"] < steps[1]["sequence"]
    assert all(step["requestId"] for step in steps)


def test_a_webhook_event_is_shown_with_its_transition_and_postings(
    api: Api, scanned: dict[str, Any]
) -> None:
    found = history(api, scanned)
    (attempt,) = found["attempts"]
    assert attempt["id"] == attempt["reference"] == scanned["gatewayReference"]
    assert (attempt["gateway"], attempt["status"]) == ("VNPAY", "PAID")
    assert attempt["sentAt"] <= attempt["answeredAt"]
    (event,) = found["webhookEvents"]
    assert (event["gateway"], event["outcome"]) == ("VNPAY", "HANDLED")
    assert event["eventId"]
    moved = found["timeline"][-1]
    assert (moved["evidence"], moved["fromStatus"], moved["toStatus"]) == (
        "WEBHOOK",
        "PROCESSING",
        "SUCCESS",
    )
    accounts = [line["account"] for line in found["entries"][0]["postings"]]
    assert accounts == ["gateway_clearing:vnpay", "customer_receivable"]


def test_a_customers_number_is_masked(api: Api, cash: dict[str, Any]) -> None:
    assert history(api, cash)["notifications"] == []
    api.run(jobs.notify_customer(api.context, cash["id"]))
    (message,) = history(api, cash)["notifications"]
    assert message["recipient"] == "098****321"
    assert (message["status"], message["attempts"] >= 1) == ("SENT", True)
    assert message["sentAt"]


@pytest.mark.parametrize(
    ("by", "visible"),
    [
        ("NV002", False),
        ("CA001", False),
        ("SV001", True),
        ("FI001", True),
        ("AD001", True),
        ("AU001", True),
    ],
)
def test_the_timeline_and_the_webhook_events_need_a_permission(
    api: Api, scanned: dict[str, Any], by: str, visible: bool
) -> None:
    found = history(api, scanned, by=by)
    assert (bool(found["timeline"]), bool(found["webhookEvents"])) == (visible, visible)
    assert found["attempts"]
    assert found["entries"]


def test_a_sequence_number_may_exceed_32_bits(api: Api) -> None:
    paid = api.new_payment("NV002")
    api.rows(
        "insert into audit_event (id, at, actor, action, outcome, payment_id, details)"
        " values (2^31, now(), 'system', 'test', 'DONE', $1, '{}')",
        paid["id"],
    )
    assert history(api, paid)["timeline"][-1]["sequence"] == 2**31


@pytest.mark.usefixtures("late_looks_are_trusted")
def test_the_history_of_a_page_needs_as_many_statements_as_that_of_one_payment(api: Api) -> None:
    for _ in range(10):
        api.new_payment("NV002")
    token = api.token("FI001")
    api.get(a_page(1), token=token)  # the process now knows the session
    sent: list[int] = []
    for first in (1, 12):
        with statements() as seen:
            page = api.get(a_page(first), token=token)
        assert len(page["edges"]) == first
        assert all(edge["node"]["timeline"] for edge in page["edges"])
        sent.append(len(seen))
    assert sent[0] == sent[1]
