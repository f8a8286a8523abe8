"""An audit row names the source of its evidence in full."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Varchar

ID = "2026-11-30T23:59:01:evidence_source"
VERSION = "1.38.0"
DESCRIPTION = "room for the name of an evidence source"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.alter_column(
        table_class_name="AuditEventRow",
        tablename="audit_event",
        column_name="evidence",
        db_column_name="evidence",
        params={"length": 20},
        old_params={"length": 4},
        column_class=Varchar,
        old_column_class=Varchar,
        schema=None,
    )
    return manager
