"""The PostgreSQL and Valkey of one stack: embedded servers, or databases on given servers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import redis

from benchmarks import processes
from benchmarks.processes import ProcessTree
from integrations.embedded import servers, wait_until_stopped

_FIRST_LOGICAL, _LOGICAL_DATABASES = 1, 16


class EngineError(Exception):
    """A server cannot be used; the text says which one and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Addresses and processes of the servers; None where a server runs on another machine."""

    database_url: str
    redis_url: str
    postgres: ProcessTree | None
    valkey: ProcessTree | None
    is_embedded: bool


@contextlib.asynccontextmanager
async def engine(folder: Path, name: str) -> AsyncGenerator[Engine]:
    """Provide an empty database and an empty Valkey, removed or emptied with the block."""
    database_url = os.environ.get("MOBINET_DATABASE_URL")
    redis_url = os.environ.get("MOBINET_REDIS_URL")
    if database_url and redis_url:
        async with _on_given_servers(database_url, redis_url, name) as found:
            yield found
        return
    try:
        with servers(folder) as embedded:
            yield Engine(
                database_url=embedded.postgres_url,
                redis_url=f"{embedded.valkey_url}?db=1",
                postgres=ProcessTree(embedded.postgres_pid),
                valkey=ProcessTree(embedded.valkey_pid),
                is_embedded=True,
            )
    finally:
        wait_until_stopped(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def _on_given_servers(database_url: str, redis_url: str, name: str) -> AsyncGenerator[Engine]:
    database = f"mobinet_bench_{name}_{os.getpid()}"
    await run(database_url, f"create database {database}")
    try:
        with _empty_logical_database(redis_url) as (logical, valkey):
            url = urlsplit(database_url)._replace(path=f"/{database}").geturl()
            yield Engine(
                database_url=url,
                redis_url=logical,
                postgres=await _postmaster(url),
                valkey=valkey,
                is_embedded=False,
            )
    finally:
        await run(database_url, f"drop database if exists {database} with (force)")


@contextlib.contextmanager
def _empty_logical_database(server: str) -> Generator[tuple[str, ProcessTree | None]]:
    for number in range(_FIRST_LOGICAL, _LOGICAL_DATABASES):
        url = (
            f"{server}?db={number}"
            if server.startswith("unix:")
            else urlsplit(server)._replace(path=f"/{number}").geturl()
        )
        client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
        with client:
            if client.dbsize() == 0 and client.set("mobinet_bench", os.getpid(), nx=True):
                pid = int(client.info("server")["process_id"])
                try:
                    yield url, ProcessTree(pid) if "valkey" in processes.name(pid) else None
                finally:
                    client.flushdb()
                return
    raise EngineError("MOBINET_REDIS_URL: none of the logical databases from 1 to 15 is empty.")


async def _postmaster(url: str) -> ProcessTree | None:
    async with connected(url) as connection:
        backend = await connection.fetchval("select pg_backend_pid()")
        if not processes.name(backend).startswith("postgres"):
            return None
        above = processes.parent(backend)
        return None if above is None else ProcessTree(above)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any]:
    """Open a connection as the databases' owner, closed with the block."""
    connection = cast("Any", await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def run(url: str, statement: str, *args: object) -> Any:
    """Run one statement and return the first value of its first row."""
    async with connected(url) as connection:
        if args:
            return await connection.fetchval(statement, *args)
        rows = await connection.fetch(statement)
        return rows[0][0] if rows else None
