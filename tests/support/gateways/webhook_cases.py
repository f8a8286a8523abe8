"""What the shared suites of webhooks send, and what became of it."""

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
    """The quarantine, which is small, has room for what each test sends."""
    introduce(api)
    webhooks._quarantined.clear()


def word(api: Api, payment: dict[str, Any], outcome: str = "paid", **but: Any) -> Said:
    """What is to be told of a payment: what was asked for, as it was asked for."""
    reference = payment["gatewayReference"]
    (row,) = api.rows("select amount from attempt where reference = $1", reference)
    return replace(said(reference, row["amount"], outcome), **but)


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def booked(api: Api, payment: dict[str, Any]) -> list[tuple[str, int]]:
    """Return what stands under the payment: from where, in the unit of that account's credit."""
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
    """Run the worker's minute: for it, every kept event is old enough."""

    async def later() -> datetime:
        return await api.context.clock() + timedelta(minutes=5)

    api.run(webhooks.retry(replace(api.context, clock=later)))
