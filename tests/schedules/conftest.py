"""The laboratory: the resolvers in the test's own loop, over real systems and the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from db.invariants.checks import open_check_connection
from mobinet.bootstrap import process_context
from mobinet.settings import Settings
from tests.crash.fork_server import ReadingClock
from tests.crash.harness import ForkServer, receive_calls
from tests.crash.preparations import SANDBOX
from tests.schedules.laboratory import Laboratory
from tests.schedules.two_processes import TwoProcesses
from tests.support.running_api import Sandbox


@pytest.fixture
async def laboratory(
    api_settings: Settings,
    sandbox: Sandbox,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Laboratory]:
    monkeypatch.setenv(SANDBOX, f"http://127.0.0.1:{sandbox.port}")
    sandbox.reset(data=True)
    settings = api_settings.model_copy(
        update={"database_url": SecretStr(fresh_database), "data_dir": tmp_path}
    )
    calls: list[dict[str, Any]] = []
    async with (
        process_context(settings, pool_size=8) as opened,
        open_check_connection(fresh_database) as checks,
    ):
        with receive_calls(api_settings.port, calls):
            context = replace(opened, clock=ReadingClock())
            yield Laboratory(context, sandbox, fresh_database, calls, checks)


@pytest.fixture
def two_processes(
    laboratory: Laboratory, api_settings: Settings, tmp_path: Path
) -> Iterator[TwoProcesses]:
    settings = api_settings.model_copy(update={"database_url": SecretStr(laboratory.database)})
    server = ForkServer(settings, laboratory.sandbox, tmp_path / "fork-server.log")
    server.start()
    yield TwoProcesses(laboratory, server)
    server.stop()
