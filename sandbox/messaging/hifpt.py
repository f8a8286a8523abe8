"""HiFPT: messages to customers who have the app, with a result for each recipient."""

from __future__ import annotations

from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.contracts import local_mobile
from sandbox.messaging.messages import Messages
from sandbox.web import ERRORS, Answer, ApiKey, Body, Idempotency, Json, Refused
from sandbox.world import World


class Data(Body):
    customer_name: str
    amount: int
    contract_number: str
    transaction_id: str
    confirmation_link: str


class Message(Body):
    message_type: str = Field(min_length=1)
    recipients: list[str] = Field(min_length=1, max_length=100)
    template_id: str = Field(min_length=1)
    data: Data


class HiFPT:
    name = "hifpt"

    def __init__(self, world: World) -> None:
        self.contracts = world.contracts
        self.store = world.store
        self.messages = Messages(world.store, self.name)
        self.key = world.settings.hifpt.api_key.get_secret_value()

    def app(self) -> Starlette:
        idempotent = Idempotency(self.store, self.name)
        return Starlette(
            routes=[Route("/api/messages", idempotent(Message, self.send), methods=["POST"])],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return Refused(422, "MESSAGE_REFUSED", "this message will not be sent").response

    def send(self, request: Request, body: Message) -> Answer:
        results: list[Json] = []
        for recipient in dict.fromkeys(body.recipients):
            mobile = local_mobile(recipient)
            contract = self.contracts.by_mobile(mobile) if mobile else None
            if mobile is None or contract is None or not contract.phones[0].has_hifpt:
                results.append({"recipient": recipient, "status": "rejected", "message_id": None})
                continue
            message_id = self.messages.send(
                recipient=mobile,
                template=body.template_id,
                transaction_id=body.data.transaction_id,
                key=request.headers["idempotency-key"],
                message=None,
            )
            results.append({"recipient": recipient, "status": "sent", "message_id": message_id})
        return 200, {"results": results}
