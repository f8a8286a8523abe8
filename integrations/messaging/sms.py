"""SMS: the same confirmation in one part of plain letters, for phones without HiFPT."""

from __future__ import annotations

from domain.notifications import Delivery, Message, Notification
from integrations.http.client import Answer, Upstream
from integrations.http.parsing import Wire, expect
from integrations.messaging.delivery import deliver, word
from integrations.text import fold, size


class _Sent(Wire):
    message_id: str | None = None
    status: str


class Sms:
    def __init__(self, http: Upstream, *, sender_id: str = "FPT_TELECOM") -> None:
        self._http = http
        self._sender_id = sender_id

    async def send(self, notification: Notification, message: Message) -> Delivery:
        """Send once: the notification's id is the key, so UNKNOWN may be sent again."""

        def read(answer: Answer) -> Delivery:
            return word(expect(_Sent, answer).status)

        body = {
            "recipient": notification.phone,
            "message": text(message),
            "sender_id": self._sender_id,
        }
        return await deliver(self._http, "/api/send", notification, body, read)


def text(message: Message) -> str:
    """Return the confirmation in plain letters; what matters less gives way to stay one part."""
    amount = f"{message.amount:,}".replace(",", ".")
    thanks = f"Cảm ơn bạn đã thanh toán {amount}đ cước HĐ {message.contract_number}."
    reference = f" Mã GD {message.transaction_id}."
    link = f" Biên nhận: {message.confirmation_link}"
    forms = [fold(thanks + rest) for rest in (reference + link, link, reference)]
    return next((form for form in forms if size(form).parts == 1), forms[1])
