"""
The table of other programs' lines in settlement files.

It is never edited: what changes later is a migration of its own.
"""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns import BigInt, BigSerial, Bytea, Date, ForeignKey, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.table import Table

ID = "2026-12-01T00:00:03:foreign_line"
VERSION = "1.38.0"
DESCRIPTION = "lines of other programs in settlement files"


class SettlementRow(Table, tablename="settlement"):
    id = Varchar(length=40, primary_key=True, default=None)


class ForeignLineRow(Table, tablename="foreign_line"):
    id = BigSerial(primary_key=True)
    settlement = ForeignKey(
        SettlementRow, null=False, default=None,
        on_delete=OnDelete.restrict, on_update=OnUpdate.restrict,
    )
    gateway = Varchar(length=20, default=None)
    day = Date(default=None)
    digest = Bytea(default=None)
    reference = Varchar(length=128, default=None)
    kind = Varchar(length=10, default=None, null=True)
    amount = BigInt(default=None, null=True)
    currency = Varchar(length=3, default=None, null=True)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.add_table(class_name=ForeignLineRow.__name__, tablename="foreign_line")
    for column in ForeignLineRow._meta.columns:
        manager.add_column(
            table_class_name=ForeignLineRow.__name__,
            tablename="foreign_line",
            column_name=column._meta.name,
            db_column_name=column._meta.db_column_name,
            column_class=type(column),
            params=column._meta.params,
        )
    return manager
