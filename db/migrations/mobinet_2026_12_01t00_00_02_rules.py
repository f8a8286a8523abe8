"""
The rules that no column can express, from the SQL file of the same name, and the job queue.

It is never edited: what changes later is a migration of its own.
"""

from __future__ import annotations

from pathlib import Path

from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-12-01T00:00:02:rules"
VERSION = "1.38.0"
DESCRIPTION = "indexes, triggers, functions and privileges"


async def add_rules() -> None:
    await Queries(AsyncpgDriver(connection())).install()
    await connection().execute(Path(__file__).with_suffix(".sql").read_text())


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.add_raw(add_rules)
    return manager
