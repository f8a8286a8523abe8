"""The SMS gateway: one plain text to one mobile number, from a registered sender."""

from __future__ import annotations

import re

from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.contracts import local_mobile
from sandbox.messaging.messages import Messages
from sandbox.web import ERRORS, Answer, ApiKey, Body, Idempotency, Refused
from sandbox.world import World

# The part of GSM-7 that Vietnamese carriers need.
PLAIN = re.compile(r"[A-Za-z0-9 \r\n@!\"#$%&'()*+,\-./:;<=>?_]*")
THREE_PARTS = 459
TRANSACTION = re.compile(r"TXN_[A-Za-z0-9-]+")


class Text(Body):
    recipient: str
    message: str = Field(min_length=1)
    sender_id: str


class SMS:
    name = "sms"

    def __init__(self, world: World) -> None:
        self.store = world.store
        self.messages = Messages(world.store, self.name)
        self.sender = world.settings.sms.sender_id
        self.key = world.settings.sms.api_key.get_secret_value()

    def app(self) -> Starlette:
        idempotent = Idempotency(self.store, self.name)
        return Starlette(
            routes=[Route("/api/send", idempotent(Text, self.send), methods=["POST"])],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return Refused(422, "MESSAGE_REFUSED", "this message will not be sent").response

    def send(self, request: Request, body: Text) -> Answer:
        mobile = local_mobile(body.recipient)
        if mobile is None:
            raise Refused(422, "INVALID_RECIPIENT", "not a Vietnamese mobile number")
        if body.sender_id != self.sender:
            raise Refused(422, "UNKNOWN_SENDER", "this sender is not registered")
        if not PLAIN.fullmatch(body.message):
            raise Refused(
                422, "MESSAGE_NOT_PLAIN", "the text must use GSM-7 characters without accents"
            )
        if len(body.message) > THREE_PARTS:
            raise Refused(422, "MESSAGE_TOO_LONG", f"at most {THREE_PARTS} letters")
        key = request.headers["idempotency-key"]
        named = TRANSACTION.search(body.message) or TRANSACTION.search(key)
        message_id = self.messages.send(
            recipient=mobile,
            template=None,
            transaction_id=named[0] if named else None,
            key=key,
            message=body.message,
        )
        return 200, {"message_id": message_id, "status": "sent"}
