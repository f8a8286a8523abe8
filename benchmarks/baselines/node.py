"""Peers on Node: mercurius with its JIT, and graphql-ws, installed at their first use."""

from __future__ import annotations

import asyncio
import contextlib
import filecmp
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

from benchmarks.baselines.limits import PAYMENT_BY_ID, libpq
from benchmarks.client.http import Address
from benchmarks.client.loads import Clients, closed, graphql_ok
from benchmarks.pinned import CACHE
from benchmarks.row import NotMeasured, Sample, Target
from benchmarks.stack import Part, free_ports

_PEERS = Path(__file__).parents[1] / "peers"
_SECONDS_TO_INSTALL = 180.0


async def graphql(target: Target, requests: Iterator[bytes], clients: Clients) -> Sample:
    """Send GraphQL requests to mercurius, over the database and the sandbox of *target*."""
    sdl = target.stack.folder / "peer.graphql"
    if not sdl.exists():
        sdl.write_text(await target.stack.run("schema"))
    host, port = target.stack.sandbox
    env = libpq(target.stack.engine.database_url) | {
        "BENCH_SDL": str(sdl),
        "BENCH_STATEMENT": PAYMENT_BY_ID,
        "BENCH_SANDBOX": f"http://{host}:{port}",
    }
    async with peer(target, "graphql.mjs", env) as (part, address):
        tree = part.tree
        assert tree is not None
        warm = Clients(count=clients.count, seconds=min(1.0, clients.seconds))
        await closed(address, requests, graphql_ok, warm)
        before = tree.cpu()
        outcome = await closed(address, requests, graphql_ok, clients)
        cpu = tree.cpu() - before
    if not outcome.done:
        raise NotMeasured(f"mercurius answers {dict(outcome.errors)}")
    values = {"rate": outcome.rate, "API": 1000 * cpu / outcome.done}
    client = 1000 * outcome.client_cpu / outcome.done
    return Sample(values | {"client": client}, outcome.errors)


@contextlib.asynccontextmanager
async def peer(
    target: Target, script: str, env: Mapping[str, str]
) -> AsyncGenerator[tuple[Part, Address]]:
    """Run a peer while the block lasts. Raises NotMeasured where there is no Node."""
    folder = await asyncio.to_thread(installed)
    (port,) = free_ports(1)
    node = shutil.which("node")
    assert node is not None
    log = target.stack.folder / f"{script}.log"
    more = dict(env) | {"BENCH_PORT": str(port), "NODE_ENV": "production"}
    part = Part(script, [node, script], folder, more, log)
    address = Address("127.0.0.1", port)
    part.start()
    try:
        await part.wait_until_it_answers(address, "/")
        yield part, address
    finally:
        part.kill()


def installed() -> Path:
    """Return the folder of the peers, installed from npm's registry. Raises NotMeasured."""
    if shutil.which("node") is None or (npm := shutil.which("npm")) is None:
        raise NotMeasured("node and npm are not installed")
    folder = CACHE / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "package-lock.json"
    is_current = (folder / "node_modules" / ".package-lock.json").exists() and filecmp.cmp(
        lock, _PEERS / "package-lock.json", shallow=False
    )
    for file in _PEERS.iterdir():
        shutil.copy(file, folder)
    if is_current:
        return folder
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_TO_INSTALL,
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured("npm did not install the peers in time") from None
    if done.returncode:
        raise NotMeasured("npm cannot install the peers from its registry")
    return folder
