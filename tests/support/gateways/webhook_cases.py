"""The calls that the shared webhook suites send, and their effects."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from resolvers import webhooks
from tests.support.clocks import SetClock
from tests.support.gateways.callers import (
    Notice,
    new_notice,
    trust_paypal_signer,
)
from tests.support.running_api import Api

UNKNOWN_REFERENCE = "MB" + "0" * 18


def each_caller(callers: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("caller", callers, ids=lambda caller: type(caller).__name__)


@pytest.fixture(autouse=True)
def quarantine_emptied(api: Api) -> None:
    """Empty the small quarantine, so that it has room for each test's calls."""
    trust_paypal_signer(api)
    webhooks._quarantined.clear()


def notice_of(api: Api, payment: dict[str, Any], outcome: str = "paid", **but: Any) -> Notice:
    """Return the notice that the requested amount of a payment was paid."""
    reference = payment["gatewayReference"]
    (row,) = api.rows("select amount from attempt where reference = $1", reference)
    return replace(new_notice(reference, row["amount"], outcome), **but)


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def booked(api: Api, payment: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the payment's postings: the credited account and the amount in its unit."""
    rows = api.rows(
        "select credit, amount from posting join entry on entry.id = entry where payment = $1",
        payment["id"],
    )
    return [(row["credit"], row["amount"]) for row in rows]


def outcomes(api: Api, reference: str) -> list[str]:
    rows = api.rows(
        "select outcome from webhook_event where reference = $1 order by received_at", reference
    )
    return [row["outcome"] for row in rows]


def retried(api: Api) -> None:
    """Retry the stored events as the worker does, five minutes later."""

    async def later() -> datetime:
        return await api.context.clock() + timedelta(minutes=5)

    api.run(webhooks.retry(replace(api.context, clock=SetClock(later))))
