"""SMS: the confirmation in one part without accents, for phones without HiFPT."""

from __future__ import annotations

from domain.notifications import Delivery, Message, Notification
from integrations.http.client import Upstream
from integrations.http.messages import Answer
from integrations.http.parsing import WireModel, parse_success
from integrations.messaging.delivery import deliver, delivery_of_status
from integrations.text import fold, size


class _SendResponse(WireModel):
    message_id: str | None = None
    status: str


class Sms:
    def __init__(self, http: Upstream, *, sender_id: str = "FPT_TELECOM") -> None:
        self._http = http
        self._sender_id = sender_id

    async def send(self, notification: Notification, message: Message) -> Delivery:
        """Send the message. The notification's id is the key, so UNKNOWN may be sent again."""

        def read(answer: Answer) -> Delivery:
            return delivery_of_status(parse_success(_SendResponse, answer).status)

        body = {
            "recipient": notification.phone,
            "message": text(message),
            "sender_id": self._sender_id,
        }
        return await deliver(self._http, "/api/send", notification, body, read)


def text(message: Message) -> str:
    """Return the confirmation without accents; it loses link or reference to fit in one part."""
    amount = f"{message.amount:,}".replace(",", ".")
    thanks = f"Cảm ơn bạn đã thanh toán {amount}đ cước HĐ {message.contract_number}."
    reference = f" Mã GD {message.transaction_id}."
    link = f" Biên nhận: {message.confirmation_link}"
    texts = [fold(thanks + rest) for rest in (reference + link, link, reference)]
    return next((option for option in texts if size(option).parts == 1), texts[1])
