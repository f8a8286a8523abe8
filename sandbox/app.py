"""One application that mounts each system under its name, and the controls under `/_sandbox`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from sandbox import pages
from sandbox.bank.api import Bank
from sandbox.control import Control
from sandbox.fault_injector import FaultInjector, System
from sandbox.fpt_pay.gateway import FptPay
from sandbox.messaging.hifpt import HiFPT
from sandbox.messaging.sms import SMS
from sandbox.momo.gateway import MoMo
from sandbox.paypal.gateway import PayPal
from sandbox.settings import Settings
from sandbox.stripe.gateway import Stripe
from sandbox.systems.customer import Customer
from sandbox.systems.debt import Debt
from sandbox.systems.revenue import Revenue
from sandbox.systems.staff import Staff
from sandbox.vnpay.gateway import VNPay
from sandbox.world import create


def build(settings: Settings) -> Starlette:
    world = create(settings)
    gateways = [FptPay(world), VNPay(world), MoMo(world), Bank(world), Stripe(world), PayPal(world)]
    systems: list[System] = [
        Revenue(world),
        Customer(world),
        Staff(world),
        Debt(world),
        HiFPT(world),
        SMS(world),
        *gateways,
    ]
    for gateway in gateways:
        world.payer.register(gateway)
    names = [system.name for system in systems]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        await world.webhooks.start()
        await world.payer.start()
        yield
        await world.payer.stop()
        await world.webhooks.stop()
        world.store.close()

    async def index(request: Request) -> Response:
        return HTMLResponse(pages.index(names, str(request.base_url)))

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    mounts = [
        Mount(f"/{system.name}", FaultInjector(system, world.faults, world.log))
        for system in systems
    ]
    return Starlette(
        routes=[
            Route("/", index),
            Route("/healthz", healthz),
            Mount("/_sandbox", Control(world, names).app()),
            *mounts,
        ],
        lifespan=lifespan,
    )
