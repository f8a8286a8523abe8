"""Bring a database to this version: Piccolo's migrations, one process at a time."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from db import engine

LOCK = 0x4D4F42494E4554  # "MOBINET"
FOLDER = Path(__file__).parent / "migrations"
ID = re.compile(r'^ID = "(.+)"$', re.MULTILINE)
SECONDS_TO_ANSWER = 10


class MigrationFailed(Exception):
    """The database is as it was before the migration that failed."""


class NotReady(Exception):
    """The database cannot be used as it is. The text says why, and what to do about it."""


async def check(url: str) -> None:
    """
    See that the database answers, is migrated, and lets us act as the application.

    Raises NotReady. The engine must not be connected: this connects it, and disconnects it.
    """
    async with _answering():
        await engine.connect(url, pool_size=1, role=None)
        try:
            if missing := await pending():
                raise NotReady(
                    f"The database lacks migrations ({len(missing)}): run `mobinet migrate`."
                )
            await engine.act_as_the_application()
        finally:
            await engine.disconnect()


@asynccontextmanager
async def _answering() -> AsyncGenerator[None]:
    """Say NotReady of a database that does not let us in."""
    try:
        async with asyncio.timeout(SECONDS_TO_ANSWER):
            yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error) or "it does not answer"
        raise NotReady(f"The database cannot be used ({why}): see `mobinet doctor`.") from error


async def migrate(owner_url: str) -> None:
    """
    Run what has not run yet, as the owner, under an advisory lock on a connection of its own.

    Raises MigrationFailed, NotReady. The engine must not be connected: this connects it, and disconnects it.
    """
    from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager

    # Here, not above: who only asks what is pending need not load what migrates.

    os.environ.setdefault("PICCOLO_CONF", "db.piccolo_conf")
    async with _answering():
        guard = await engine.own_connection(owner_url)
    try:
        await guard.execute("select pg_advisory_lock($1)", LOCK)
        await engine.connect(owner_url, pool_size=2, role=None)
        try:
            result = await ForwardsMigrationManager(app_name="mobinet").run()
        finally:
            await engine.disconnect()
        if not result.success:
            raise MigrationFailed(result.message)
    finally:
        await guard.close()


async def pending() -> list[str]:
    """Return the ids of the migrations that the connected database still lacks."""
    try:
        rows = await engine.fetch("select name from migration where app_name = 'mobinet'")
    except asyncpg.UndefinedTableError:
        return sorted(_known())
    return sorted(_known() - {row["name"] for row in rows})


def _known() -> set[str]:
    texts = (path.read_text() for path in FOLDER.glob("mobinet_*.py"))
    return {found[1] for text in texts if (found := ID.search(text))}
