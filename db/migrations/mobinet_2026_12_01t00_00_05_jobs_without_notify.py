"""
Jobs without pgqueuer's trigger, and with a count of the workers that died running each.

It is never edited: what changes later is a migration of its own.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-12-01T00:00:05:jobs_without_notify"
VERSION = "1.38.0"
DESCRIPTION = "pgqueuer without its trigger; deaths of workers"

CHANGES = """
drop trigger if exists tg_pgqueuer_changed on pgqueuer;
alter table pgqueuer add column deaths integer not null default 0;
"""


async def change_jobs() -> None:
    await connection().execute(CHANGES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.add_raw(change_jobs)
    return manager
