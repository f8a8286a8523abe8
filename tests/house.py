"""The whole API on a real socket, in this process, over a real database, Redis and sandbox.

    sandbox     every outer system, in a process of its own: one for the session
    api         the API, in a thread, with a database of its own: one for each module of tests
    people      the module's logins

A module of tests asks for them by `pytest_plugins = ["tests.house"]`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from resolvers.context import Context
from schema.app import create_app
from schema.settings import Settings, load
from tests.conftest import _copy_of

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
# VNPay's five minutes last a tenth of a second.
TIME_SCALE = "3000"


# ── the sandbox ──────────────────────────────────────────────────────────────────────────────────


class Sandbox:
    """The outer systems, and what tests may do to them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=httpx.Timeout(20)
        )

    def reset(self, *, data: bool = False) -> None:
        self.http.post("/_sandbox/reset", json={"data": data}).raise_for_status()

    def change_staff(self, staff_id: str, **change: Any) -> None:
        self._order("staff", {"staff_id": staff_id} | change)

    def change_contract(self, contract_number: str, status: str) -> None:
        self._order("contracts", {"contract_number": contract_number, "status": status})

    def pay(self, **act: Any) -> Any:
        return self._order("pay", act)

    @property
    def truth(self) -> Any:
        return self.http.get("/_sandbox/truth").json()

    def requests(self, system: str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
        wanted = {"since": since} | ({"system": system} if system else {})
        return self.http.get("/_sandbox/requests", params=wanted).json()["requests"]

    @property
    def last_request(self) -> int:
        return self.http.get("/_sandbox/requests").json()["last"]

    @contextmanager
    def broken(self, system: str, fault: str, **more: Any) -> Iterator[None]:
        self._order("faults", {"system": system, "fault": fault} | more)
        try:
            yield
        finally:
            self.reset()

    def _order(self, what: str, body: Any) -> Any:
        answer = self.http.post(f"/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    """The API's and the sandbox's."""
    with _listening(0) as one, _listening(0) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="session")
def sandbox(ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    env = _plain_environment() | {
        "MOBINET_PORT": str(ports[0]),
        "MOBINET_SANDBOX_PORT": str(ports[1]),
        "MOBINET_DATA_DIR": str(folder),
        "MOBINET_SANDBOX__TIME_SCALE": TIME_SCALE,
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    running = Sandbox(ports[1])
    try:
        until(lambda: _answers(running.http), why="the sandbox did not start")
        yield running
    finally:
        running.http.close()
        process.terminate()
        process.wait(10)


# ── the API ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def module_database(database_url: str, template: str) -> Iterator[str]:
    with _copy_of(template, database_url) as url:
        yield url


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def house_settings(
    module_database: str,
    redis_url: str,
    sandbox: Sandbox,
    ports: tuple[int, int],
    data_dir: Path,
) -> Settings:
    """As the environment says them: the real way in. The sandbox begins anew, as the database does."""
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


class Api:
    """A running API, asked over HTTP as its clients ask it; its insides are at hand too."""

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
        """Run *work* where the API runs: with its connections, on its loop."""
        assert self._loop is not None

        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(40)

    def ask(
        self,
        document: str,
        variables: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        language: str = "vi",
    ) -> dict[str, Any]:
        """Send one operation; return the whole answer, errors too."""
        headers = {"accept-language": language}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        answer = self.http.post(
            "/graphql", json={"query": document, "variables": variables or {}}, headers=headers
        )
        return answer.json()

    def get(self, document: str, variables: dict[str, Any] | None = None, **how: Any) -> Any:
        """Send one operation that must succeed; return the value of its first field."""
        answer = self.ask(document, variables, **how)
        assert not answer.get("errors"), answer
        return next(iter(answer["data"].values()))

    def token(self, staff_id: str) -> str:
        """Return a token of this member of staff; each logs in once a module."""
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
            data={"grant_type": "client_credentials", "client_id": "dashboard", "client_secret": "dashboard-secret"},
        )  # fmt: skip
        return answer.json()["access_token"]

    def contract(self) -> str:
        """Return a contract that no other test of the module touches."""
        number = next(self._numbers)
        if (number - 2000) % 40 == 39:  # terminated
            number = next(self._numbers)
        return f"SGFDN{number}"

    def collector(self) -> str:
        """Return a collector that no other test of the module is."""
        return f"NV{next(self._collectors)}"

    def owed(self, contract: str) -> list[dict[str, Any]]:
        """Return what the contract owes, as the items of a payment."""
        found = self.get(OWED, {"contract": contract}, token=self.token("SV001"))
        return [
            {"type": "BILL", "id": one["billNumber"], "amount": one["amount"]}
            for one in found["bills"]
        ]

    def pay(
        self, staff_id: str = "NV002", *, method: str = "CASH", language: str = "vi", **but: Any
    ) -> dict[str, Any]:
        """Send processPayment for the first bill of a new contract, changed as *but* says."""
        contract = but.get("contractNumber") or self.contract()
        given = {"idempotencyKey": key(), "contractNumber": contract, "method": method} | but
        if "items" not in given:
            given["items"] = self.owed(contract)[:1]
        return self.get(PROCESS, {"input": given}, token=self.token(staff_id), language=language)

    def paid(self, staff_id: str = "NV002", **but: Any) -> dict[str, Any]:
        payload = self.pay(staff_id, **but)
        assert payload["payment"], payload
        return payload["payment"]

    def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Ask the database as its owner."""
        return asyncio.run(_rows(self.database, sql, *args))

    def dump(self) -> dict[str, Counter[str]]:
        """Return every row of every table as a hash."""
        return asyncio.run(_dump(self.database))


@pytest.fixture(scope="module")
def api(house_settings: Settings, module_database: str) -> Iterator[Api]:
    app = create_app(house_settings)
    running = Api(app, house_settings, module_database)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=2, ws="websockets-sansio"
        )
    )

    def serve() -> None:
        async def main() -> None:
            running._loop = asyncio.get_running_loop()
            with _listening(house_settings.port) as listening:
                await server.serve([listening])

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


LOGIN = """
mutation ($input: LoginInput!) { login(input: $input) {
  session { accessToken refreshToken expiresAt staff { staffId name role permissions } }
  errors { code message } } }
"""
OWED = (
    "query ($contract: ID!) { customer(contractNumber: $contract) { bills { billNumber amount } } }"
)
REFUSAL = """
code message __typename
... on LimitExceeded { kind limit requested used reserved remaining resetsAt }
... on BillLocked { billNumber paymentId heldBy method until }
... on BillAlreadyPaid { billNumber paidAt }
... on IdempotencyKeyReused { paymentId }
... on IdempotencyInProgress { paymentId retryAfterMs }
... on GatewayUnavailable { gateway retryAfterMs alternatives }
... on AmountMismatch { expected amountAsked: requested }
... on InvalidInput { field }
"""
PAYMENT = """
id version status method amount contractNumber needsVerification holdReason paymentUrl custody
confirmationLink qr { payload image expiresAt } gateway gatewayReference postingStatus
failure { code message } staff { staffId name } items { type id amount }
"""
PROCESS = f"""
mutation ($input: ProcessPaymentInput!) {{ processPayment(input: $input) {{
  payment {{ {PAYMENT} }} replayed errors {{ {REFUSAL} }} }} }}
"""
CANCEL = f"""
mutation ($id: ID!, $reason: String!) {{ cancelPayment(id: $id, reason: $reason) {{
  payment {{ {PAYMENT} }} errors {{ {REFUSAL} }} }} }}
"""
VERIFY = f"mutation ($id: ID!) {{ verifyPayment(id: $id) {{ payment {{ {PAYMENT} }} errors {{ {REFUSAL} }} }} }}"  # fmt: skip


def key() -> str:
    """Return a new idempotency key."""
    return secrets.token_hex(16)


# ── statements, counted ──────────────────────────────────────────────────────────────────────────


@dataclass
class Statements:
    seen: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.seen)


@contextmanager
def statements() -> Iterator[Statements]:
    """Count what this process sends to PostgreSQL meanwhile, whichever pool or library sends it."""
    found = Statements()
    connection: Any = asyncpg.Connection
    execute, script = connection._execute, connection.execute

    async def counted(self: Any, query: str, *args: Any, **more: Any) -> Any:
        found.seen.append(query)
        return await execute(self, query, *args, **more)

    async def counted_script(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if not args:  # with arguments it goes by `_execute`
            found.seen.append(query)
        return await script(self, query, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_execute", counted)
        patch.setattr(connection, "execute", counted_script)
        yield found


# ── private ──────────────────────────────────────────────────────────────────────────────────────


def until(holds: Callable[[], bool], *, why: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why
        threading.Event().wait(0.01)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").is_success
    except httpx.TransportError:
        return False


def _listening(port: int) -> socket.socket:
    # Without the protocol's name asyncio leaves Nagle's algorithm on: 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}


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
        every = " union all ".join(
            f"select '{name}' as name, md5(t::text) as row from \"{name}\" t" for (name,) in tables
        )
        found: dict[str, Counter[str]] = {name: Counter() for (name,) in tables}
        for name, row in await connection.fetch(every):
            found[name][row] += 1
        return found
    finally:
        await connection.close()
