"""Card tokens against localstripe, a stand-in by other authors that runs as its own process."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from domain.methods import GatewayName
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways.dialects import NOW, ORDER, attempt

pytestmark = pytest.mark.skipif(
    find_spec("localstripe") is None, reason="localstripe is not installed: `make .venv/.installed`"
)

# By default localstripe listens on all addresses and saves its state in a shared file. It also
# refuses `return_url`, which cards with authentication need.
PEER = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda self: None
original = resources.PaymentIntent.__init__
def patched(self, return_url=None, description=None, **more): original(self, **more)
resources.PaymentIntent.__init__ = patched
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
KEY = "sk_test_12345"


@pytest.fixture(scope="module")
async def peer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("peer")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PEER, str(port), cwd=folder, env={"TMPDIR": str(folder)}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30), httpx.AsyncClient(base_url=url) as client:
            while True:
                try:
                    await client.get("/v1/payment_intents", auth=(KEY, ""))
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield url
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def stripe(peer: str) -> AsyncIterator[Stripe]:
    http = Upstream("peer", peer)
    yield Stripe(http, api_key=KEY, webhook_secrets=["whsec_peer"])
    await http.aclose()


async def card(peer: str, number: str) -> str:
    """Return the token of a card, as an app gets it."""
    form = {
        "type": "card",
        "card[number]": number,
        "card[exp_month]": "12",
        "card[exp_year]": "2040",
        "card[cvc]": "123",
    }
    async with httpx.AsyncClient(base_url=peer) as client:
        response = await client.post("/v1/payment_methods", data=form, auth=(KEY, ""))
    return response.raise_for_status().json()["id"]


async def test_a_token_is_charged_and_found_by_its_id(stripe: Stripe, peer: str) -> None:
    requested = attempt(GatewayName.STRIPE)
    token = await card(peer, "4242424242424242")
    paid = await stripe.start(requested, replace(ORDER, card_token=token), now=NOW)
    assert paid.result is GatewayResult.PAID
    assert paid.gateway_id
    found = await stripe.inquire(replace(requested, gateway_id=paid.gateway_id), now=NOW)
    assert (found.result, found.gateway_id) == (GatewayResult.PAID, paid.gateway_id)
    # localstripe leaves out `amount_received`, so the amount is unknown and not guessed.
    assert (paid.money, found.money) == (None, None)


async def test_a_card_that_needs_authentication_is_not_paid(stripe: Stripe, peer: str) -> None:
    token = await card(peer, "4000002500003155")
    requested = attempt(GatewayName.STRIPE)
    waiting = await stripe.start(requested, replace(ORDER, card_token=token), now=NOW)
    assert waiting.result is GatewayResult.ACCEPTED
    known = replace(requested, gateway_id=waiting.gateway_id)
    assert (await stripe.inquire(known, now=NOW)).result is GatewayResult.UNPAID


async def test_an_unknown_token_is_not_paid(stripe: Stripe) -> None:
    purchase = replace(ORDER, card_token="pm_unknown")
    evidence = await stripe.start(attempt(GatewayName.STRIPE), purchase, now=NOW)
    assert evidence.result is not GatewayResult.PAID
