"""Bring a database to this version: Piccolo's migrations, run by one process at a time."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from db import engine, jobs

LOCK = 0x4D4F42494E4554  # the bytes of "MOBINET"
FOLDER = Path(__file__).parent / "migrations"
ID_LINE = re.compile(r'^ID = "(.+)"$', re.MULTILINE)
ANSWER_SECONDS = 10

MADE_EARLIER = (
    "An earlier version of Mobinet made this database, and nothing in it was changed: move the"
    " whole data folder aside (MOBINET_DATA_DIR), or name another database (MOBINET_DATABASE_URL)."
)


class MigrationFailed(Exception):
    """A migration failed; the database is as it was before that migration."""


class NotReady(Exception):
    """The database cannot be used as it is. The text says why, and what to do about it."""


class MadeEarlier(NotReady):
    """An earlier version made the database, and no migration leads from there to this version."""

    def __init__(self) -> None:
        super().__init__(MADE_EARLIER)


async def check(url: str) -> None:
    """
    Check that the database answers, is migrated, and lets this login act as the application.

    Raises NotReady. Connects the engine, which must not be connected, and disconnects it.
    """
    async with _not_ready_without_answer():
        await engine.connect(url, pool_size=1, role=None)
        try:
            await check_origin()
            if missing := await pending():
                raise NotReady(
                    f"The database lacks migrations ({len(missing)}): run `mobinet migrate`."
                )
            await engine.act_as_the_application()
        finally:
            await engine.disconnect()


@asynccontextmanager
async def _not_ready_without_answer() -> AsyncGenerator[None]:
    """Raise NotReady where the database does not answer in time, or refuses the login."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error) or "it does not answer"
        raise NotReady(f"The database cannot be used ({why}): see `mobinet doctor`.") from error


async def migrate(owner_url: str) -> None:
    """
    Run the missing migrations as the owner, under an advisory lock on a separate connection.

    Raises MigrationFailed, NotReady. Connects the engine, which must not be connected, and
    disconnects it.
    """
    # A process that only calls `pending` does not load Piccolo's commands.
    from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager

    os.environ.setdefault("PICCOLO_CONF", "db.piccolo_conf")
    async with _not_ready_without_answer():
        guard = await engine.own_connection(owner_url)
    try:
        await guard.execute("select pg_advisory_lock($1)", LOCK)
        _check_origin(await _applied(guard.fetch))
        await engine.connect(owner_url, pool_size=2, role=None)
        try:
            result = await ForwardsMigrationManager(app_name="mobinet").run()
            if result.success:
                await jobs.drop_triggers()
        finally:
            await engine.disconnect()
        if not result.success:
            raise MigrationFailed(result.message)
    finally:
        await guard.close()


async def check_origin() -> None:
    """Raise MadeEarlier where an earlier version made the connected database."""
    _check_origin(await _applied(engine.fetch))


async def pending() -> list[str]:
    """Return the ids of the migrations that the connected database still lacks."""
    return sorted(_known() - await _applied(engine.fetch))


def _check_origin(applied: set[str]) -> None:
    """Raise MadeEarlier where an id is unknown here, and no later version's: those sort last."""
    known = _known()
    if any(migration_id < max(known) for migration_id in applied - known):
        raise MadeEarlier


async def _applied(fetch: Callable[[str], Awaitable[Any]]) -> set[str]:
    """Return the ids of the migrations that have run; none where the database is empty."""
    try:
        rows = await fetch("select name from migration where app_name = 'mobinet'")
    except asyncpg.UndefinedTableError:
        return set()
    return {row["name"] for row in rows}


def _known() -> set[str]:
    """Return the ids of this version's migrations."""
    texts = (path.read_text() for path in FOLDER.glob("mobinet_*.py"))
    return {found[1] for text in texts if (found := ID_LINE.search(text))}
