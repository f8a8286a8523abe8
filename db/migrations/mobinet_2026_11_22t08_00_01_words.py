"""Every word on a case is kept, in order: whoever comes back to their first has said it again."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-22T08:00:01:words"
VERSION = "1.38.0"
DESCRIPTION = "words on a case"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.drop_constraint(
        table_class_name="CaseApprovalRow",
        tablename="case_approval",
        constraint_name="one_word_a_person",
        schema=None,
    )
    return manager
