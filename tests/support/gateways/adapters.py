"""Our adapters in conversation with the sandbox, at whose door its gateways knock."""

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
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from integrations.systems.staff import StaffManagement
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Counterpart, Line, Seen

CONTRACT = "SGFDN1015"
GATEWAYS = (GatewayName.VNPAY, GatewayName.FPT_PAY, GatewayName.STRIPE)


@dataclass
class Outside:
    """The sandbox, and our own door, at which its gateways knock."""

    url: str
    door: Counterpart
    knocks: asyncio.Queue[Seen]
    control: httpx.AsyncClient

    def upstream(self, system: str, **other: Any) -> Upstream:
        headers = {"X-Api-Key": f"sandbox-{system}-key"}
        return Upstream(system, f"{self.url}/{system}", headers=headers, read=3, **other)

    async def order(self, what: str, **body: Any) -> Any:
        answer = await self.control.post(f"/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def truth(self) -> dict[str, list[dict[str, Any]]]:
        return (await self.control.get("/_sandbox/truth")).json()

    async def next_call(self) -> Call:
        async with asyncio.timeout(20):
            seen = await self.knocks.get()
        return Call(
            method=seen.method,
            query=seen.query,
            headers=seen.headers,
            body=seen.body,
            received_at=datetime.now(UTC),
        )


@pytest.fixture(scope="module")
async def outside(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    door, knocks = Counterpart(), asyncio.Queue[Seen]()

    async def record_vote(seen: Seen, line: Line) -> None:
        await knocks.put(seen)
        gateway = VNPAY_WORDS if seen.path.endswith("vnpay") else FPT_PAY_WORDS
        body = gateway.answer(Verdict.ACCEPTED).body
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await line.write(head.encode() + body)

    door.always(record_vote)
    await door.open()
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
            "MOBINET_PUBLIC_URL": door.url,
            "MOBINET_SANDBOX__TIME_SCALE": "3000",  # five minutes are a tenth of a second
        },
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url) as control:
        await _answering(control)
        yield Outside(url, door, knocks, control)
    sandbox.terminate()
    await sandbox.wait()
    await door.close()


async def _answering(control: httpx.AsyncClient) -> None:
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
    makers = {GatewayName.VNPAY: vnpay, GatewayName.FPT_PAY: fpt_pay, GatewayName.STRIPE: stripe}
    return makers[name](http)


VNPAY_WORDS = vnpay(Upstream("nobody", "http://127.0.0.1"))
FPT_PAY_WORDS = fpt_pay(Upstream("nobody", "http://127.0.0.1"))


@dataclass
class Talk:
    """A conversation with one gateway about one attempt."""

    outside: Outside
    gateway: Gateway
    attempt: Attempt
    wallet: str

    async def start(self) -> Evidence:
        purchase = Purchase(
            description=f"Thanh toán cước HĐ {CONTRACT}",
            customer_name="Nguyen Van A",
            customer_phone="0987654321",
            client_ip="203.0.113.10",
            return_url=f"{self.outside.door.url}/pay/token",
            notify_url=f"{self.outside.door.url}/webhooks/fpt-pay",
            staff_token=self.wallet,
        )
        return await self.gateway.start(self.attempt, purchase, now=datetime.now(UTC))

    async def inquire(self) -> Evidence:
        return await self.gateway.inquire(self.attempt, now=datetime.now(UTC))

    async def customer(self, outcome: str, **other: Any) -> None:
        await self.outside.order("pay", reference=self.attempt.reference, outcome=outcome, **other)

    async def told(self) -> Notice:
        (notice,) = self.gateway.read_webhook(await self.outside.next_call())
        return notice


@pytest.fixture(params=GATEWAYS)
async def talk(request: pytest.FixtureRequest, outside: Outside) -> AsyncIterator[Talk]:
    name: GatewayName = request.param
    staff, http = outside.upstream("staff"), outside.upstream(name.value.lower())
    who = await StaffManagement(staff).authenticate("NV001", "mobinetNV001")
    assert who.fpt_pay_token
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
    yield Talk(outside, gateway_of(name, http), attempt, who.fpt_pay_token)
    await staff.aclose()
    await http.aclose()
