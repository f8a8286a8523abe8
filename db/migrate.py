"""Bring a database to this version: Piccolo's migrations, one process at a time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import asyncpg

from db import engine

LOCK = 0x4D4F42494E4554  # "MOBINET"
FOLDER = Path(__file__).parent / "migrations"
ID = re.compile(r'^ID = "(.+)"$', re.MULTILINE)


class MigrationFailed(Exception):
    """The database is as it was before the migration that failed."""


async def migrate(owner_url: str) -> None:
    """
    Run what has not run yet, as the owner, under an advisory lock on a connection of its own.

    Raises MigrationFailed. The engine must not be connected: this connects it, and disconnects it.
    """
    from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager

    # Here, not above: who only asks what is pending need not load what migrates.

    os.environ.setdefault("PICCOLO_CONF", "db.piccolo_conf")
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
