"""The running API: requests over HTTP, and access to its context and database."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from mobinet.serve import create_app
from mobinet.settings import Settings, load
from resolvers.context import Context
from tests.support.databases import copy_of
from tests.support.documents import LOGIN, OWED, PROCESS, key
from tests.support.ports import listening, until
from tests.support.sandbox.process import Sandbox

T = TypeVar("T")


class Api:
    """A running API that tests call over HTTP, and whose context and database they can read."""

    def __init__(self, app: Starlette, settings: Settings, database: str) -> None:
        self.app = app
        self.settings = settings
        self.database = database
        self.url = f"http://127.0.0.1:{settings.port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=httpx.Timeout(40))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = itertools.count(2000)
        self._collectors = itertools.count(1000)
        self._tokens: dict[str, str] = {}

    @property
    def context(self) -> Context:
        return self.app.state.context

    def run(self, work: Awaitable[T]) -> T:
        """Run *work* on the API's loop, with its connections; return its result."""
        assert self._loop is not None

        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(40)

    def execute(
        self,
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        language: str = "vi",
    ) -> dict[str, Any]:
        """Send one operation; return the whole answer with its errors, without its request id."""
        headers = {"accept-language": language}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        answer = self.http.post(
            "/graphql", json={"query": document, "variables": variables or {}}, headers=headers
        )
        body = answer.json()
        assert body.pop("extensions") == {"requestId": answer.headers["x-request-id"]}
        return body

    def get(self, document: str, variables: dict[str, Any] | None = None, **how: Any) -> Any:
        """Send one operation that must succeed; return the value of its first field."""
        answer = self.execute(document, variables, **how)
        assert not answer.get("errors"), answer
        return next(iter(answer["data"].values()))

    def token(self, staff_id: str) -> str:
        """Return a token of this member of staff, who logs in once per module."""
        if staff_id not in self._tokens:
            self._tokens[staff_id] = self.login(staff_id)["accessToken"]
        return self._tokens[staff_id]

    def login(self, staff_id: str, password: str | None = None) -> dict[str, Any]:
        given = {"staffId": staff_id, "password": password or f"mobinet{staff_id}"}
        payload = self.get(LOGIN, {"input": given})
        assert payload["session"], payload
        return payload["session"]

    def service_token(self) -> str:
        answer = self.http.post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": "dashboard",
                "client_secret": "dashboard-secret",
            },
        )
        return answer.json()["access_token"]

    def contract(self) -> str:
        """Return a contract that no other test of the module uses."""
        number = next(self._numbers)
        if (number - 2000) % 40 == 39:  # terminated
            number = next(self._numbers)
        return f"SGFDN{number}"

    def collector(self) -> str:
        """Return the id of a collector that no other test of the module uses."""
        return f"NV{next(self._collectors)}"

    def owed(self, contract: str) -> list[dict[str, Any]]:
        """Return the contract's unpaid bills as items of a payment."""
        customer = self.get(OWED, {"contract": contract}, token=self.token("SV001"))
        return [
            {"type": "BILL", "id": bill["billNumber"], "amount": bill["amount"]}
            for bill in customer["bills"]
        ]

    def process_payment(
        self, staff_id: str = "NV002", *, method: str = "CASH", language: str = "vi", **but: Any
    ) -> dict[str, Any]:
        """Send processPayment for the first bill of a new contract, changed as *but* says."""
        contract = but.get("contractNumber") or self.contract()
        given = {"idempotencyKey": key(), "contractNumber": contract, "method": method} | but
        if "items" not in given:
            given["items"] = self.owed(contract)[:1]
        return self.get(PROCESS, {"input": given}, token=self.token(staff_id), language=language)

    def new_payment(self, staff_id: str = "NV002", **but: Any) -> dict[str, Any]:
        """Send processPayment, which must succeed; return the payment."""
        payload = self.process_payment(staff_id, **but)
        assert payload["payment"], payload
        return payload["payment"]

    def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Run a statement as the owner of the database; return its rows."""
        return asyncio.run(_rows(self.database, sql, *args))

    def dump(self) -> dict[str, Counter[str]]:
        """Return every row of every table as a hash."""
        return asyncio.run(_dump(self.database))


@pytest.fixture(scope="module")
def module_database(database_url: str, template: str) -> Iterator[str]:
    with copy_of(template, database_url) as url:
        yield url


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def api_settings(
    module_database: str,
    redis_url: str,
    sandbox: Sandbox,
    ports: tuple[int, int],
    data_dir: Path,
) -> Settings:
    """Return the settings, read from the environment as in production; reset the sandbox."""
    sandbox.reset(data=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MOBINET_")]:
            patch.delenv(name)
        for name, value in {
            "DATABASE_URL": module_database,
            "REDIS_URL": redis_url,
            "DATA_DIR": str(data_dir),
            "PORT": str(ports[0]),
            "SANDBOX_PORT": str(sandbox.port),
        }.items():
            patch.setenv(f"MOBINET_{name}", value)
        return load()


@pytest.fixture(scope="module")
def api(api_settings: Settings, module_database: str) -> Iterator[Api]:
    app = create_app(api_settings)
    running = Api(app, api_settings, module_database)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=2, ws="websockets-sansio"
        )
    )

    def serve() -> None:
        async def main() -> None:
            running._loop = asyncio.get_running_loop()
            with listening(api_settings.port) as listener:
                await server.serve([listener])

        asyncio.run(main())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive(), why="the API did not start")
        assert thread.is_alive(), "the API did not start"
        yield running
    finally:
        running.http.close()
        server.should_exit = True
        thread.join(15)


async def _rows(url: str, sql: str, *args: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *args)
    finally:
        await connection.close()


async def _dump(url: str) -> dict[str, Counter[str]]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        tables = await connection.fetch(
            "select tablename from pg_tables where schemaname = 'public'"
        )
        statement = " union all ".join(
            f"select '{name}' as name, md5(t::text) as row from \"{name}\" t" for (name,) in tables
        )
        found: dict[str, Counter[str]] = {name: Counter() for (name,) in tables}
        for name, row in await connection.fetch(statement):
            found[name][row] += 1
        return found
    finally:
        await connection.close()
