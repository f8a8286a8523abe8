"""
CPU of an outgoing call: httpx and the pooled transport under the same steps, beside one server.

    python -m benchmarks.outgoing [--calls 2000] [--rounds 7]

The rounds take turns, so that a busy machine slows both; the ratio counts. The server is a process
of its own, and only the client's CPU is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from statistics import median
from typing import cast

import h11
import httptools
import httpx
import uvloop

from integrations.http.client import Timeouts, Upstream
from integrations.http.httpx_transport import HttpxTransport
from integrations.http.messages import Answer, Request
from integrations.http.pool import PooledTransport

BODY = b'{"bills": [' + b", ".join([b'{"id": "BILL_1", "amount": 250000}'] * 15) + b"]}"
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Tue, 01 Dec 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
REQUEST = Request(operation="bills", method="GET", path="/bills", subject="SGFDN1015")
TIMEOUTS = Timeouts(connect=60, read=60, total=60)
TRANSPORTS = {"httpx": HttpxTransport, "pooled": PooledTransport}


class Server(asyncio.Protocol):
    """Answers each request at once; requests have no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def serve() -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Server, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def running_server() -> Generator[str]:
    """Yield the address of a server that ends with this process."""
    command = [sys.executable, "-m", "benchmarks.outgoing", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def keep(answer: Answer) -> Answer:
    return answer


async def client_cpu(name: str, url: str, calls: int, clients: int) -> float:
    """Return microseconds of CPU per call, with this many calls at a time."""
    http = Upstream(name, url, timeouts=TIMEOUTS, transport=TRANSPORTS[name])

    async def repeat(count: int) -> None:
        for _ in range(count):
            answer = await http.call(REQUEST, keep)
            assert len(answer.body) == len(BODY)

    await repeat(50)
    before = time.process_time()
    await asyncio.gather(*[repeat(calls // clients) for _ in range(clients)])
    used = time.process_time() - before
    await http.aclose()
    return used / (calls // clients * clients) * 1e6


def compare(url: str, calls: int, rounds: int, clients: int) -> None:
    found: dict[str, list[float]] = {name: [] for name in TRANSPORTS}
    for number in range(rounds):
        for name in sorted(TRANSPORTS, reverse=bool(number % 2)):
            found[name].append(uvloop.run(client_cpu(name, url, calls, clients)))
    ratios = [old / new for old, new in zip(found["httpx"], found["pooled"], strict=True)]
    print(
        f"{clients:>3} at a time: httpx {median(found['httpx']):6.0f} µs,"
        f" pooled {median(found['pooled']):5.0f} µs CPU a call;"
        f" {median(ratios):.1f} × ({min(ratios):.1f} to {max(ratios):.1f})"
    )


def parse_with_h11() -> None:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(ANSWER)
    while not isinstance(connection.next_event(), h11.EndOfMessage):
        pass


class Ignored:
    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_body(self, data: bytes) -> None: ...


def parse_with_httptools() -> None:
    httptools.HttpResponseParser(Ignored()).feed_data(ANSWER)


def parser_cpu(parse: Callable[[], None], count: int = 5000) -> float:
    before = time.process_time()
    for _ in range(count):
        parse()
    return (time.process_time() - before) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve())
        return
    with running_server() as url:
        print(
            f"{options.calls} calls, median of {options.rounds} rounds; httpx {httpx.__version__}"
        )
        for clients in (1, 64):
            compare(url, options.calls, options.rounds, clients)
    print(
        f"one answer parsed: h11 {parser_cpu(parse_with_h11):.0f} µs,"
        f" httptools {parser_cpu(parse_with_httptools):.1f} µs"
    )


if __name__ == "__main__":
    main()
