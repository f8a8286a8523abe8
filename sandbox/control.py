"""`/_sandbox`: act as the customer, inject faults, change data, read the truth, and reset."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox import clock
from sandbox.payer import PayerAction
from sandbox.systems.staff import staff_profile
from sandbox.truth import settlement, truth
from sandbox.web import ERRORS, Body, Refused, read
from sandbox.world import World


class FaultOrder(Body):
    system: str
    fault: Literal["timeout", "reset", "500", "slow", "truncated", "refuse"]
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1, ge=0, le=1)
    after_processing: bool = False
    path: str = ""
    seconds: float | None = Field(default=None, ge=0)


class StaffChange(Body):
    staff_id: str
    role: str | None = None
    daily_limit: int | None = Field(default=None, ge=0)
    per_transaction_limit: int | None = Field(default=None, ge=0)
    used_today: int | None = Field(default=None, ge=0)
    permissions: list[str] | None = None
    team: str | None = None


class ContractChange(Body):
    contract_number: str
    status: Literal["active", "suspended", "terminated"]


class Reset(Body):
    data: bool = False


class Control:
    def __init__(self, world: World, systems: Collection[str]) -> None:
        self.world = world
        self.systems = systems

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/pay", self.pay, methods=["POST"]),
                Route("/faults", self.order_fault, methods=["POST"]),
                Route("/faults", self.faults, methods=["GET"]),
                Route("/staff", self.change_staff, methods=["POST"]),
                Route("/contracts", self.change_contract, methods=["POST"]),
                Route("/truth", self.truth),
                Route("/reset", self.reset, methods=["POST"]),
                Route("/settlement/{gateway}", self.settlement),
                Route("/requests", self.requests),
                Route("/webhooks", self.webhooks),
            ],
            exception_handlers=ERRORS,
        )

    async def pay(self, request: Request) -> Response:
        action = read(PayerAction, await request.body())
        return JSONResponse(await self.world.payer.accept(action))

    async def order_fault(self, request: Request) -> Response:
        order = read(FaultOrder, await request.body())
        if order.system not in self.systems:
            served = ", ".join(self.systems)
            raise Refused(422, "UNKNOWN_SYSTEM", f"system must be one of: {served}", field="system")
        self.world.faults.order(**order.model_dump())
        return await self.faults(request)

    async def faults(self, request: Request) -> Response:
        return JSONResponse({"faults": self.world.faults.list()})

    async def change_staff(self, request: Request) -> Response:
        change = read(StaffChange, await request.body())
        known = self.world.people.find(change.staff_id)
        if known is None:
            raise Refused(404, "NOT_FOUND", "no such member of staff", field="staff_id")
        fields = change.model_dump(exclude={"staff_id"}, exclude_none=True)
        self.world.overrides.set("staff", known.id, fields)
        person = self.world.people.find(known.id)
        assert person is not None
        return JSONResponse(staff_profile(person))

    async def change_contract(self, request: Request) -> Response:
        change = read(ContractChange, await request.body())
        contract = self.world.contracts.find(change.contract_number)
        if contract is None:
            raise Refused(404, "NOT_FOUND", "no such contract", field="contract_number")
        self.world.overrides.set("contract", contract.number, {"status": change.status})
        return JSONResponse({"contract_number": contract.number, "contract_status": change.status})

    async def truth(self, request: Request) -> Response:
        return JSONResponse(truth(self.world))

    async def reset(self, request: Request) -> Response:
        order = read(Reset, await request.body() or b"{}")
        self.world.faults.end()
        if order.data:
            self.world.payer.cancel_all()
            self.world.webhooks.cancel_all()
            self.world.overrides.clear()
            self.world.store.clear()
            self.world.log.clear()
        return JSONResponse({"faults": [], "data": order.data})

    async def settlement(self, request: Request) -> Response:
        gateway = request.path_params["gateway"]
        if gateway not in self.world.payer.gateways:
            raise Refused(404, "UNKNOWN_GATEWAY", f"{gateway} has no settlement files")
        day = request.query_params.get("date") or clock.local_day(clock.now())
        try:
            date.fromisoformat(day)
        except ValueError:
            raise Refused(
                422, "INVALID_INPUT", "date must have the form 2025-07-29", field="date"
            ) from None
        name = f"{gateway}-{day}.csv"
        return PlainTextResponse(
            settlement(self.world, gateway, day),
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def requests(self, request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isdigit():
            raise Refused(422, "INVALID_INPUT", "since must be the n of a request", field="since")
        log = self.world.log
        entries = log.read(request.query_params.get("system"), int(since))
        return JSONResponse({"requests": entries, "last": log.last})

    async def webhooks(self, request: Request) -> Response:
        reference = request.query_params.get("reference")
        return JSONResponse({"webhooks": self.world.webhooks.list(reference)})
