"""Customer Management: a contract's customer, address and phone numbers."""

from __future__ import annotations

from dataclasses import asdict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.web import ERRORS, ApiKey, Refused, unavailable
from sandbox.world import World


class Customer:
    name = "customer"

    def __init__(self, world: World) -> None:
        self.contracts = world.contracts
        self.key = world.settings.customer.api_key.get_secret_value()

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/api/customers/{contract_number}", self.customer)],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return unavailable(self.name)

    async def customer(self, request: Request) -> Response:
        contract = self.contracts.find(request.path_params["contract_number"])
        if contract is None:
            raise Refused(404, "NOT_FOUND", "no such contract")
        answer = {
            "customer_id": contract.customer_id,
            "contract_number": contract.number,
            "name": contract.name,
            "phone_numbers": [asdict(phone) for phone in contract.phones],
            "contract_status": contract.status,
            "service_address": contract.address,
        }
        if contract.email:
            answer["email"] = contract.email
        return JSONResponse(answer)
