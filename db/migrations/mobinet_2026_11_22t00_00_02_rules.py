"""What no column can say: one collection of a bill, protected outcomes, an append-only ledger, privileges."""

from __future__ import annotations

from pathlib import Path

from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-11-22T00:00:02:rules"
VERSION = "1.38.0"
DESCRIPTION = "rules"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def rules() -> None:
        await Queries(AsyncpgDriver(connection())).install()
        await connection().execute(Path(__file__).with_suffix(".sql").read_text())

    manager.add_raw(rules)
    return manager
