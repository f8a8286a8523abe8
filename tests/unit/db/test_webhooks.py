"""Which outcome of a webhook event prevails when deliveries of it end at the same time."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from db import webhooks
from domain.gateways import Call, WebhookOutcome
from domain.methods import GatewayName
from domain.webhooks import WebhookEvent

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

NOW = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)


async def stored() -> WebhookEvent:
    call = Call(method="POST", path="/", query="", headers={}, body=b"{}", received_at=NOW)
    return await webhooks.store(
        WebhookEvent(
            id=f"EVT{uuid4().hex}",
            gateway=GatewayName.BANK,
            event_id=uuid4().hex,
            reference="MBN1",
            outcome=WebhookOutcome.RECEIVED,
            received_at=NOW,
            deliveries=1,
            tries=0,
            call=call,
            masked=False,
        )
    )


@pytest.mark.parametrize("first", [WebhookOutcome.DUPLICATE, WebhookOutcome.STALE])
async def test_the_delivery_that_changed_the_payment_names_the_outcome(
    first: WebhookOutcome,
) -> None:
    event = await stored()
    assert await webhooks.conclude(event.id, first, NOW)
    assert await webhooks.conclude(event.id, WebhookOutcome.HANDLED, NOW)
    assert (await webhooks.get(event.id)).outcome is WebhookOutcome.HANDLED


@pytest.mark.parametrize(
    "later", [each for each in WebhookOutcome if each is not WebhookOutcome.HANDLED]
)
async def test_a_handled_event_stays_handled(later: WebhookOutcome) -> None:
    event = await stored()
    assert await webhooks.conclude(event.id, WebhookOutcome.HANDLED, NOW)
    assert not await webhooks.conclude(event.id, later, NOW)
    assert (await webhooks.get(event.id)).outcome is WebhookOutcome.HANDLED
