"""The API starts without waiting for slow checks, and stops them when it ends."""

from __future__ import annotations

import asyncio

import pytest

from mobinet import serve
from mobinet.settings import Settings
from resolvers import invariants
from resolvers.context import Context
from schema import app as assembled

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def test_a_slow_first_check_does_not_delay_a_start(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def takes_long(_: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(invariants, "check_first", takes_long)
    monkeypatch.setattr(assembled, "FIRST_CHECK_SECONDS", 0.01)
    api = serve.create_app(api_settings)
    async with api.router.lifespan_context(api):
        assert begun.is_set()
        assert not ended.is_set()
    assert ended.is_set()
