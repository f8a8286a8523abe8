"""Customers' names as a search compares them; the rows get theirs in the next migration."""

from __future__ import annotations

import asyncpg
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Text
from piccolo.columns.indexes import IndexMethod

from db.migrate import MigrationFailed
from db.transaction import connection

ID = "2026-11-30T10:00:01:folded_names"
VERSION = "1.38.0"
DESCRIPTION = "a column for customers' names as a search compares them"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)

    async def extension() -> None:
        try:
            await connection().execute("create extension if not exists pg_trgm")
        except (
            asyncpg.InsufficientPrivilegeError,
            asyncpg.FeatureNotSupportedError,
            asyncpg.UndefinedFileError,
        ) as error:
            raise MigrationFailed(
                f"it needs PostgreSQL's extension pg_trgm ({error}). Grant the owner CREATE on the database,"
                " or let an administrator run CREATE EXTENSION pg_trgm in it; it is part of postgresql-contrib."
            ) from error

    manager.add_raw(extension)
    manager.add_column(
        table_class_name="PaymentRow",
        tablename="payment",
        column_name="customer_name_folded",
        db_column_name="customer_name_folded",
        column_class_name="Text",
        column_class=Text,
        params={
            "default": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )
    return manager
