"""Our adapters against the sandbox, whose gateways call a merchant of the tests."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.attempts import Attempt, AttemptStatus
from domain.gateways import Call, Gateway, Notice, Purchase, Verdict
from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import Evidence
from integrations.fpt_pay.gateway import FPTPay
from integrations.http.client import Timeouts, Upstream
from integrations.stripe.gateway import Stripe
from integrations.systems.staff import StaffManagement
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Connection, Counterpart, Seen

CONTRACT = "SGFDN1015"
GATEWAYS = (GatewayName.VNPAY, GatewayName.FPT_PAY, GatewayName.STRIPE)


@dataclass
class RunningSandbox:
    """The sandbox's process, and the merchant that its gateways call."""

    url: str
    merchant: Counterpart
    calls: asyncio.Queue[Seen]
    control: httpx.AsyncClient

    def upstream(self, system: str, *, total: float = 24) -> Upstream:
        timeouts = Timeouts(read=3, total=total)
        headers = {"X-Api-Key": f"sandbox-{system}-key"}
        return Upstream(system, f"{self.url}/{system}", headers=headers, timeouts=timeouts)

    async def command(self, name: str, **body: Any) -> Any:
        answer = await self.control.post(f"/_sandbox/{name}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def truth(self) -> dict[str, list[dict[str, Any]]]:
        return (await self.control.get("/_sandbox/truth")).json()

    async def next_call(self) -> Call:
        async with asyncio.timeout(20):
            seen = await self.calls.get()
        return Call(
            method=seen.method,
            query=seen.query,
            headers=seen.headers,
            body=seen.body,
            received_at=datetime.now(UTC),
        )


@pytest.fixture(scope="module")
async def running_sandbox(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningSandbox]:
    merchant, calls = Counterpart(), asyncio.Queue[Seen]()

    async def accept(seen: Seen, connection: Connection) -> None:
        await calls.put(seen)
        gateway = VNPAY_REPLIES if seen.path.endswith("vnpay") else FPT_PAY_REPLIES
        body = gateway.answer(Verdict.ACCEPTED).body
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await connection.write(head.encode() + body)

    merchant.always(accept)
    await merchant.open()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("sandbox")
    sandbox = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        cwd=Path(__file__).parents[3],
        env={name: value for name, value in os.environ.items() if "MOBINET" not in name}
        | {
            "MOBINET_SANDBOX_PORT": str(port),
            "MOBINET_DATA_DIR": str(folder),
            "MOBINET_PUBLIC_URL": merchant.url,
            "MOBINET_SANDBOX__TIME_SCALE": "3000",  # five minutes are a tenth of a second
        },
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url) as control:
        await _wait_until_ready(control)
        yield RunningSandbox(url, merchant, calls, control)
    sandbox.terminate()
    await sandbox.wait()
    await merchant.close()


async def _wait_until_ready(control: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                (await control.get("/healthz")).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


def vnpay(http: Upstream) -> VNPay:
    return VNPay(http, tmn_code="MOBINET1", hash_secrets=["sandbox-vnpay-hash-secret"])


def fpt_pay(http: Upstream) -> FPTPay:
    return FPTPay(http, secrets=["sandbox-fpt-pay-secret"])


def stripe(http: Upstream) -> Stripe:
    secrets = ["whsec_sandbox-stripe-secret"]
    return Stripe(http, api_key="sandbox-stripe-key", webhook_secrets=secrets)


def gateway_of(name: GatewayName, http: Upstream) -> Gateway:
    adapters = {GatewayName.VNPAY: vnpay, GatewayName.FPT_PAY: fpt_pay, GatewayName.STRIPE: stripe}
    return adapters[name](http)


VNPAY_REPLIES = vnpay(Upstream("unused", "http://127.0.0.1"))
FPT_PAY_REPLIES = fpt_pay(Upstream("unused", "http://127.0.0.1"))


@dataclass
class SandboxPayment:
    """One attempt at one gateway of the sandbox."""

    sandbox: RunningSandbox
    gateway: Gateway
    attempt: Attempt
    wallet: str

    async def start(self) -> Evidence:
        purchase = Purchase(
            description=f"Thanh toán cước HĐ {CONTRACT}",
            customer_name="Nguyen Van A",
            customer_phone="0987654321",
            client_ip="203.0.113.10",
            return_url=f"{self.sandbox.merchant.url}/pay/token",
            notify_url=f"{self.sandbox.merchant.url}/webhooks/fpt-pay",
            staff_token=self.wallet,
        )
        return await self.gateway.start(self.attempt, purchase, now=datetime.now(UTC))

    async def inquire(self) -> Evidence:
        return await self.gateway.inquire(self.attempt, now=datetime.now(UTC))

    async def customer(self, outcome: str, **other: Any) -> None:
        await self.sandbox.command(
            "pay", reference=self.attempt.reference, outcome=outcome, **other
        )

    async def next_notice(self) -> Notice:
        (notice,) = self.gateway.read_webhook(await self.sandbox.next_call())
        return notice


@pytest.fixture(params=GATEWAYS)
async def payment(
    request: pytest.FixtureRequest, running_sandbox: RunningSandbox
) -> AsyncIterator[SandboxPayment]:
    name: GatewayName = request.param
    staff = running_sandbox.upstream("staff")
    http = running_sandbox.upstream(name.value.lower())
    member = await StaffManagement(staff).authenticate("NV001", "mobinetNV001")
    assert member.fpt_pay_token
    now = datetime.now(UTC)
    attempt = Attempt(
        reference=f"MB{now:%y%m%d%H%M%S%f}",
        payment_id="TXN_1",
        gateway=name,
        status=AttemptStatus.SENT,
        money=Money(200_000),
        created_at=now,
        sent_at=now,
        expires_at=now + timedelta(minutes=15),
    )
    yield SandboxPayment(running_sandbox, gateway_of(name, http), attempt, member.fpt_pay_token)
    await staff.aclose()
    await http.aclose()
