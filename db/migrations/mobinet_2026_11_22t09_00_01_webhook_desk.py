"""The desk reads calls by what became of them, the newest first."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-11-22T09:00:01:webhook_desk"
VERSION = "1.38.0"
DESCRIPTION = "an index for the desk of gateways' calls"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def index() -> None:
        await connection().execute(
            'create index webhook_event_outcome on webhook_event (outcome, received_at, id collate "C")'
        )

    manager.add_raw(index)
    return manager
