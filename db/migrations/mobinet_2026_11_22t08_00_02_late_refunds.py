"""A refund that failed, and that its gateway made after all, is corrected."""

from __future__ import annotations

from pathlib import Path

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-11-22T08:00:02:late_refunds"
VERSION = "1.38.0"
DESCRIPTION = "refunds that were paid out after all"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def rules() -> None:
        await connection().execute(Path(__file__).with_suffix(".sql").read_text())

    manager.add_raw(rules)
    return manager
