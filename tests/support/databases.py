"""Databases of a test's own, made on a server and dropped afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from db import engine
from db.migrate import migrate


def given_url(what: str) -> str:
    """Return the URL that the environment names for *what*, or nothing."""
    return os.environ.get(f"MOBINET_{what}_URL", "")


def given_server() -> str:
    """Return the URL of the server that the environment names, or nothing for the embedded one."""
    return given_url("DATABASE_OWNER") or given_url("DATABASE")


def with_database(server: str, database: str) -> str:
    return urlsplit(server)._replace(path=f"/{database}").geturl()


def new_name() -> str:
    return f"mobinet_test_{secrets.token_hex(6)}"


@contextlib.contextmanager
def copy_of(template: str, server: str) -> Generator[str]:
    """Copy the database *template* under a new name, yield its URL, and drop it."""
    name = new_name()
    asyncio.run(run_statement(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield with_database(server, name)
    finally:
        asyncio.run(drop(server, name))


async def make_template(server: str, name: str) -> None:
    await run_statement(server, f"CREATE DATABASE {name}")
    await migrate(with_database(server, name))


async def drop(server: str, name: str) -> None:
    await run_statement(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def run_statement(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def other_tests_are_done() -> None:
    """
    Wait until the server's other databases end the transactions older than our last audit row.

    A snapshot sees the open transactions of all databases, so tests running in parallel delay the
    sealer.
    """
    async with writer(engine.DB.config["dsn"]) as owner, asyncio.timeout(60):
        while await owner.fetchval(
            """
            select exists (
                select from pg_stat_activity
                 where datname <> current_database()
                   and backend_xid::text::bigint <= (select max(txid) from audit_event))
            """
        ):
            await asyncio.sleep(0.02)


@asynccontextmanager
async def writer(database: str) -> AsyncIterator[Any]:
    """Yield a connection of its own to *database*."""
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close()
