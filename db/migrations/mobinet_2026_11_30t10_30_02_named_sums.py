"""Two people who resolve a case name the same sum, where they name one."""

from __future__ import annotations

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-11-30T10:30:02:named_sums"
VERSION = "1.38.0"
DESCRIPTION = "two people name the same sum"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def rules() -> None:
        await connection().execute(Path(__file__).with_suffix(".sql").read_text())

    manager.add_raw(rules)
    return manager
