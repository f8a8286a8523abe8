"""Kinds of load: closed clients, all requests at once, and open arrivals."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.client.http import LOST, Address, Connection, Response, connect
from benchmarks.client.pool import Pool

Check = Callable[[Response], str]
"""Returns `OK`, or the kind of error in an answer."""

OK = "ok"
LATE = "no answer in time"


@dataclass(slots=True)
class Outcome:
    """The result of a load, in seconds; latencies are those of OK answers."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list[float])
    kinds: Counter[str] = field(default_factory=Counter[str])
    client_cpu: float = 0.0

    @property
    def done(self) -> int:
        return self.kinds[OK]

    @property
    def errors(self) -> Counter[str]:
        return Counter({kind: count for kind, count in self.kinds.items() if kind != OK})

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def quantile(self, part: float) -> float:
        """Return the latency that this part of the answers does not exceed."""
        if not self.latencies:
            return float("nan")
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    def note(self, kind: str, latency: float) -> None:
        self.kinds[kind] += 1
        if kind == OK:
            self.latencies.append(latency)


def graphql_ok(response: Response) -> str:
    """Classify a GraphQL answer by its bytes, because parsing costs more than the request."""
    if response.status == 200 and response.body.startswith(b'{"data":{'):
        return OK if b'"errors":[{' not in response.body else error_code(response)
    return error_code(response)


def error_code(response: Response) -> str:
    """Return a short name of an error: the status, and a GraphQL code where there is one."""
    if response.status == LOST:
        return "connection lost"
    start = response.body.find(b'"code":"')
    if start < 0:
        return f"HTTP {response.status}"
    code = response.body[start + 8 : response.body.find(b'"', start + 8)]
    return f"HTTP {response.status} {code.decode(errors='replace')}"


@contextlib.asynccontextmanager
async def connections(address: Address, count: int) -> AsyncGenerator[list[Connection]]:
    """Open *count* connections, a hundred at a time, and close them afterwards."""
    opened: list[Connection] = []
    try:
        for first in range(0, count, 100):
            more = min(100, count - first)
            opened += await asyncio.gather(*(connect(address) for _ in range(more)))
        yield opened
    finally:
        for connection in opened:
            connection.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The number of clients; each waits for an answer before its next request."""

    count: int
    seconds: float = float("inf")
    patience: float = 90.0


async def closed(
    address: Address, requests: Iterator[bytes], check: Check, clients: Clients
) -> Outcome:
    """Keep every client busy until its time is over or the requests end."""
    async with connections(address, clients.count) as pool:
        return await _closed(address, pool, requests, check, clients)


async def _closed(
    address: Address,
    pool: Sequence[Connection],
    requests: Iterator[bytes],
    check: Check,
    clients: Clients,
) -> Outcome:
    outcome, loop = Outcome(), asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()
    new: list[Connection] = []
    reconnecting: list[asyncio.Task[None]] = []
    begun, cpu = time.perf_counter(), time.process_time()
    stop = begun + clients.seconds
    busy = len(pool)

    def start(connection: Connection) -> None:
        nonlocal busy
        now = time.perf_counter()
        request = next(requests, None) if now < stop else None
        if request is None:
            busy -= 1
            if not busy and not finished.done():
                finished.set_result(None)
            return

        def answered(response: Response) -> None:
            if finished.done():
                return
            outcome.note(check(response), time.perf_counter() - now)
            if connection.is_open:
                start(connection)
            else:
                reconnecting.append(asyncio.create_task(start_anew()))

        connection.send(request, answered)

    async def start_anew() -> None:
        nonlocal busy
        try:
            connection = await connect(address)
        except OSError:
            outcome.kinds["connection refused"] += 1
            busy -= 1
            return
        new.append(connection)
        start(connection)

    for connection in pool:
        start(connection)
    try:
        async with asyncio.timeout(min(clients.seconds, clients.patience) + clients.patience):
            await finished
    except TimeoutError:
        outcome.kinds[LATE] += busy
    for connection in new:
        connection.abort()
    outcome.seconds = time.perf_counter() - begun
    outcome.client_cpu = time.process_time() - cpu
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Requests that arrive at a fixed rate; each may take *patience* seconds."""

    rate: float
    seconds: float
    patience: float
    max_connections: int = 8_000


async def open_arrivals(
    address: Address, requests: Iterator[bytes], check: Check, arrivals: Arrivals
) -> Outcome:
    """Send requests as they arrive; a latency starts with the arrival."""
    outcome, pool = Outcome(), Pool(address, arrivals.max_connections)
    tasks: set[asyncio.Task[None]] = set()
    begun, cpu = time.perf_counter(), time.process_time()

    async def send(request: bytes, arrived: float) -> None:
        try:
            kind = check(await pool.request(request, seconds=arrivals.patience))
        except TimeoutError:
            kind = LATE
        except ConnectionRefusedError:
            kind = "not sent: the client has no connection left"
        outcome.note(kind, time.perf_counter() - arrived)

    for nth in range(int(arrivals.rate * arrivals.seconds)):
        due = begun + nth / arrivals.rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(send(next(requests), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    while tasks:
        await asyncio.wait(set(tasks))
    pool.close()
    outcome.seconds = time.perf_counter() - begun
    outcome.client_cpu = time.process_time() - cpu
    return outcome
