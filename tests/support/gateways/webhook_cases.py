"""The calls that the shared webhook suites send, and their effects."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from resolvers import webhooks
from tests.support.gateways.callers import (
    Said,
    introduce,
    said,
)
from tests.support.running_api import Api

STRANGE = "MB" + "0" * 18


def spoken_by(voices: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("voice", voices, ids=lambda voice: type(voice).__name__)


@pytest.fixture(autouse=True)
def introduced(api: Api) -> None:
    """Empty the small quarantine, so that it has room for each test's calls."""
    introduce(api)
    webhooks._quarantined.clear()


def word(api: Api, payment: dict[str, Any], outcome: str = "paid", **but: Any) -> Said:
    """Return the report that the requested amount of a payment was paid."""
    reference = payment["gatewayReference"]
    (row,) = api.rows("select amount from attempt where reference = $1", reference)
    return replace(said(reference, row["amount"], outcome), **but)


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

    api.run(webhooks.retry(replace(api.context, clock=later)))
