from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import BigInt
from piccolo.columns.column_types import Varchar
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check


ID = "2026-11-22T06:00:01:shares"
VERSION = "1.38.0"
DESCRIPTION = "what of a refund is in another currency"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="mobinet", description=DESCRIPTION
    )

    manager.add_column(
        table_class_name="ReversalRow",
        tablename="reversal",
        column_name="share",
        db_column_name="share",
        column_class_name="BigInt",
        column_class=BigInt,
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

    manager.add_column(
        table_class_name="ReversalRow",
        tablename="reversal",
        column_name="share_currency",
        db_column_name="share_currency",
        column_class_name="Varchar",
        column_class=Varchar,
        params={
            "length": 3,
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

    manager.add_constraint(
        table_class_name="ReversalRow",
        tablename="reversal",
        constraint_name="share_is_positive",
        constraint_class=Check,
        params={"condition": "share > 0"},
        schema=None,
    )

    manager.add_constraint(
        table_class_name="ReversalRow",
        tablename="reversal",
        constraint_name="share_has_a_currency",
        constraint_class=Check,
        params={"condition": "(share is null) = (share_currency is null)"},
        schema=None,
    )

    return manager
