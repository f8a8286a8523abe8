"""A real sandbox on a port of its own, and a merchant that receives its webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.app import build
from tests.support.sandbox.merchant import Merchant, Served, System, content, settings


@pytest.fixture(scope="session")
def _merchant() -> Iterator[Merchant]:
    merchant = Merchant(content)
    served = Served(
        Starlette(routes=[Route("/{path:path}", merchant.take, methods=["GET", "POST"])])
    )
    merchant.url = served.url
    yield merchant
    served.stop()


@pytest.fixture
def merchant(_merchant: Merchant) -> Merchant:
    _merchant.answer = content
    _merchant.calls.clear()
    return _merchant


@pytest.fixture(scope="session")
def _served(_merchant: Merchant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(build(settings(_merchant, tmp_path_factory.mktemp("sandbox"))))
    yield served
    served.stop()


@pytest.fixture(scope="session")
def _client(_served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served.url, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def sandbox(_client: httpx.Client, merchant: Merchant) -> httpx.Client:
    _client.post("/_sandbox/reset", json={"data": True}).raise_for_status()
    # Waits until the webhooks of an earlier test have arrived.
    httpx.get(merchant.url, trust_env=False)
    merchant.calls.clear()
    return _client


@pytest.fixture
def ask(sandbox: httpx.Client) -> Callable[[str], System]:
    return lambda name: System(sandbox, name)


@pytest.fixture
def play(sandbox: httpx.Client) -> Callable[..., Any]:
    def play(**act: Any) -> Any:
        response = sandbox.post("/_sandbox/pay", json=act)
        assert response.status_code == 200, response.text
        return response.json()

    return play


@pytest.fixture
def truth(sandbox: httpx.Client) -> Callable[[], Any]:
    return lambda: sandbox.get("/_sandbox/truth").json()
