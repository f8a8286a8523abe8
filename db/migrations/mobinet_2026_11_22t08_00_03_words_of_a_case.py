"""A case's words are found by the case: their constraint is gone, and its index with it."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-11-22T08:00:03:words_of_a_case"
VERSION = "1.38.0"
DESCRIPTION = "an index of the words on a case"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def index() -> None:
        await connection().execute(
            "create index case_approval_of_case on case_approval (money_case)"
        )

    manager.add_raw(index)
    return manager
