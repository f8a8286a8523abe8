"""HiFPT: the message in the customer's own app."""

from __future__ import annotations

from domain.notifications import Delivery, Message, Notification
from integrations.http.client import Answer, Unusable, Upstream
from integrations.http.parsing import Wire, expect
from integrations.messaging.delivery import deliver, word
from integrations.phones import normalise

TEMPLATE = "PAY_CONFIRM_01"


class _Result(Wire):
    recipient: str
    status: str
    message_id: str | None = None


class _Results(Wire):
    results: tuple[_Result, ...]


class HiFPT:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def send(self, notification: Notification, message: Message) -> Delivery:
        """Send once: the notification's id is the key, so UNKNOWN may be sent again."""

        def read(answer: Answer) -> Delivery:
            for result in expect(_Results, answer).results:
                if _same_phone(result.recipient, notification.phone):
                    return word(result.status)
            raise Unusable("nothing about the recipient")

        body = {
            "message_type": notification.template.value,
            "recipients": [notification.phone],
            "template_id": TEMPLATE,
            "data": {
                "customer_name": message.customer_name,
                "amount": message.amount,
                "contract_number": message.contract_number,
                "transaction_id": message.transaction_id,
                "confirmation_link": message.confirmation_link,
            },
        }
        return await deliver(self._http, "/api/messages", notification, body, read)


def _same_phone(first: str, second: str) -> bool:
    """Return whether two spellings are of one phone: they may answer in the international one."""
    return first == second or (
        normalise(first) is not None and normalise(first) == normalise(second)
    )
