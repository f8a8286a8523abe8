"""Message channels: sent, refused, or unknown."""

from __future__ import annotations

from typing import Any

import pytest

from domain.notifications import (
    Channel,
    Delivery,
    Message,
    Notification,
    NotificationStatus,
    Template,
)
from integrations.http.client import Upstream
from integrations.messaging.hifpt import HiFPT
from integrations.messaging.sms import Sms
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Act, Counterpart, says

NOTIFICATION = Notification(
    id="NTF_1",
    payment_id="TXN_1",
    phone="0987654321",
    template=Template.PAYMENT_CONFIRMATION,
    channel=Channel.HIFPT,
    status=NotificationStatus.PENDING,
)
MESSAGE = Message(
    customer_name="Nguyễn Văn A",
    amount=200_000,
    contract_number="SGFDN1015",
    transaction_id="TXN_1",
    confirmation_link="https://mobinet.vn/pay/abc",
)


@pytest.fixture(params=["hifpt", "sms"])
def channel(request: pytest.FixtureRequest, http: Upstream) -> HiFPT | Sms:
    return HiFPT(http) if request.param == "hifpt" else Sms(http)


def status(channel: HiFPT | Sms, status: Any) -> Act:
    if isinstance(channel, Sms):
        return says({"message_id": "m1", "status": status})
    result = {"recipient": NOTIFICATION.phone, "status": status, "message_id": "m1"}
    return says({"results": [result]})


async def test_hifpt_gets_data_and_template(http: Upstream, counterpart: Counterpart) -> None:
    hifpt = HiFPT(http)
    counterpart.will(status(hifpt, "sent"))
    assert await hifpt.send(NOTIFICATION, MESSAGE) is Delivery.SENT
    seen = counterpart.seen[0]
    assert (seen.method, seen.path) == ("POST", "/api/messages")
    assert seen.headers["idempotency-key"] == "NTF_1"
    assert seen.json == {
        "message_type": "payment_confirmation",
        "recipients": ["0987654321"],
        "template_id": "PAY_CONFIRM_01",
        "data": {
            "customer_name": "Nguyễn Văn A",
            "amount": 200_000,
            "contract_number": "SGFDN1015",
            "transaction_id": "TXN_1",
            "confirmation_link": "https://mobinet.vn/pay/abc",
        },
    }


async def test_sms_gets_text_without_accents(http: Upstream, counterpart: Counterpart) -> None:
    sms = Sms(http)
    counterpart.will(status(sms, "sent"))
    assert await sms.send(NOTIFICATION, MESSAGE) is Delivery.SENT
    seen = counterpart.seen[0]
    assert (seen.path, seen.json["sender_id"]) == ("/api/send", "FPT_TELECOM")
    assert seen.json["recipient"] == "0987654321"
    assert seen.json["message"].startswith("Cam on ban da thanh toan 200.000d cuoc HD SGFDN1015.")


@pytest.mark.parametrize(
    ("answered", "delivery"),
    [
        ("sent", Delivery.SENT),
        ("Accepted", Delivery.SENT),
        ("rejected", Delivery.REFUSED),
        ("perhaps", Delivery.UNKNOWN),
    ],
)
async def test_the_channels_status_decides(
    channel: HiFPT | Sms, counterpart: Counterpart, answered: str, delivery: Delivery
) -> None:
    counterpart.will(status(channel, answered))
    assert await channel.send(NOTIFICATION, MESSAGE) is delivery


async def test_a_definite_refusal_is_refused(
    channel: HiFPT | Sms, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"code": "MESSAGE_REFUSED", "message": "no"}}, 422))
    assert await channel.send(NOTIFICATION, MESSAGE) is Delivery.REFUSED


@pytest.mark.parametrize(
    "act",
    [acts.silence, acts.reset, acts.server_error, acts.truncated, says({}, 429), says({}, 409)],
    ids=["a timeout", "a reset", "a 500", "a truncated answer", "too many", "in flight"],
)
async def test_a_message_that_may_have_been_sent_is_unknown(
    channel: HiFPT | Sms, counterpart: Counterpart, act: Act
) -> None:
    counterpart.always(act)
    assert await channel.send(NOTIFICATION, MESSAGE) is Delivery.UNKNOWN


async def test_a_channel_that_cannot_be_reached_is_unknown(
    channel: HiFPT | Sms, counterpart: Counterpart
) -> None:
    await counterpart.close()
    assert await channel.send(NOTIFICATION, MESSAGE) is Delivery.UNKNOWN


async def test_an_answer_without_the_recipient_is_unknown(
    http: Upstream, counterpart: Counterpart
) -> None:
    result = {"recipient": "0900000000", "status": "sent", "message_id": "m1"}
    counterpart.always(says({"results": [result]}))
    assert await HiFPT(http).send(NOTIFICATION, MESSAGE) is Delivery.UNKNOWN


@pytest.mark.parametrize("recipient", ["+84987654321", "84987654321", "0987 654 321"])
async def test_the_recipient_may_have_another_spelling(
    http: Upstream, counterpart: Counterpart, recipient: str
) -> None:
    counterpart.always(says({"results": [{"recipient": recipient, "status": "sent"}]}))
    assert await HiFPT(http).send(NOTIFICATION, MESSAGE) is Delivery.SENT
    assert len(counterpart.seen) == 1
