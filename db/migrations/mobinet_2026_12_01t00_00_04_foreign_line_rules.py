"""
The rules of other programs' lines, which no column can express.

It is never edited: what changes later is a migration of its own.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from db.transaction import connection

ID = "2026-12-01T00:00:04:foreign_line_rules"
VERSION = "1.38.0"
DESCRIPTION = "index, trigger and privileges of foreign_line"

RULES = """
create index foreign_line_by_day on foreign_line (gateway, day);
create index foreign_line_by_digest on foreign_line (gateway, digest);
create trigger foreign_line_is_append_only before update or delete or truncate on foreign_line
    for each statement execute function never_changed();
grant select, insert on foreign_line to mobinet_app;
grant usage, select on sequence foreign_line_id_seq to mobinet_app;
"""


async def add_rules() -> None:
    await connection().execute(RULES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.add_raw(add_rules)
    return manager
