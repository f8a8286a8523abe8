"""The migrated database has exactly the tables and columns that db/tables/ declares."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from piccolo.apps.migrations.auto.diffable_table import DiffableTable
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.apps.migrations.auto.schema_differ import SchemaDiffer
from piccolo.apps.migrations.auto.schema_snapshot import SchemaSnapshot
from piccolo.columns import BigSerial, Column, Varchar
from piccolo.table import Table

from db.migrate import FOLDER, pending
from db.piccolo_app import APP_CONFIG

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

TABLES: list[type[Table]] = APP_CONFIG.table_classes
OTHER_TABLES = {
    "migration",
    "pgqueuer",
    "pgqueuer_log",
    "pgqueuer_statistics",
    "pgqueuer_schedules",
}


def declared(column: Column) -> tuple[str, bool]:
    """Return the column's type as PostgreSQL names it, and whether it may be empty."""
    kind = column._meta.params
    if isinstance(column, Varchar):
        name = f"character varying({kind['length']})"
    elif isinstance(column, BigSerial):
        name = "bigint"
    else:
        name = {
            "TIMESTAMPTZ": "timestamp with time zone",
            "VARCHAR(255)": "character varying(255)",
        }.get(column.column_type, column.column_type.lower())
    return name, column._meta.null


def declared_or_referenced(column: Column) -> tuple[str, bool]:
    """Return the same, with the type of the referenced column for a foreign key."""
    if column._meta.params.get("references") is None:
        return declared(column)
    target: Any = column._foreign_key_meta.resolved_references  # type: ignore[attr-defined]
    return declared(target._meta.primary_key)[0], column._meta.null


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table._meta.tablename)
async def test_a_table_is_as_it_is_declared(table: type[Table], owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "select attname, format_type(atttypid, atttypmod) as type, not attnotnull as nullable"
        " from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped",
        table._meta.tablename,
    )
    found = {row["attname"]: (row["type"], row["nullable"]) for row in rows}
    assert found == {
        column._meta.db_column_name: declared_or_referenced(column)
        for column in table._meta.columns
    }


async def test_no_table_is_undeclared(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch("select tablename from pg_tables where schemaname = 'public'")
    assert {row["tablename"] for row in rows} - OTHER_TABLES == {
        table._meta.tablename for table in TABLES
    }


async def test_every_migration_has_run_and_a_new_one_would_be_empty() -> None:
    assert await pending() == []
    managers: list[MigrationManager] = []
    for path in sorted(FOLDER.glob("mobinet_*.py")):
        module = __import__(f"db.migrations.{path.stem}", fromlist=["forwards"])
        managers.append(await module.forwards())
    migrated = SchemaSnapshot(managers).get_snapshot()
    present = [
        DiffableTable(
            class_name=table.__name__,
            tablename=table._meta.tablename,
            schema=table._meta.schema,
            columns=table._meta.non_default_columns,
            constraints=table._meta.constraints,
        )
        for table in TABLES
    ]
    differ = SchemaDiffer(schema=present, schema_snapshot=migrated, auto_input="y")
    statements = [
        line
        for get_alter_statement in differ.get_alter_statements()
        for line in get_alter_statement.statements
    ]
    assert statements == []
