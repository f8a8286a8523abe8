"""HiFPT: a message in the customer's app."""

from __future__ import annotations

from domain.notifications import Delivery, Message, Notification
from integrations.http.client import Upstream
from integrations.http.failures import Unusable
from integrations.http.messages import Answer
from integrations.http.parsing import WireModel, parse_success
from integrations.messaging.delivery import deliver, delivery_of_status
from integrations.phones import normalise

TEMPLATE = "PAY_CONFIRM_01"


class _Result(WireModel):
    recipient: str
    status: str
    message_id: str | None = None


class _Results(WireModel):
    results: tuple[_Result, ...]


class HiFPT:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def send(self, notification: Notification, message: Message) -> Delivery:
        """Send the message. The notification's id is the key, so UNKNOWN may be sent again."""

        def read(answer: Answer) -> Delivery:
            for result in parse_success(_Results, answer).results:
                if _is_same_phone(result.recipient, notification.phone):
                    return delivery_of_status(result.status)
            raise Unusable("no result for the recipient")

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


def _is_same_phone(first: str, second: str) -> bool:
    """Return whether two spellings are of one phone; HiFPT may use the international one."""
    return first == second or (
        normalise(first) is not None and normalise(first) == normalise(second)
    )
