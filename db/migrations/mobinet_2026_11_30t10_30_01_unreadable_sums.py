"""A gateway's sum that cannot be read, as it was written, and what people say that came."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import BigInt
from piccolo.columns.column_types import Text
from piccolo.columns.indexes import IndexMethod
from piccolo.constraints import Check


ID = "2026-11-30T10:30:01:unreadable_sums"
VERSION = "1.38.0"
DESCRIPTION = "sums that cannot be read"


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="mobinet", description=DESCRIPTION
    )

    manager.add_column(
        table_class_name="CaseRow",
        tablename="money_case",
        column_name="unreadable",
        db_column_name="unreadable",
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

    manager.add_column(
        table_class_name="CaseApprovalRow",
        tablename="case_approval",
        column_name="amount",
        db_column_name="amount",
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

    manager.add_constraint(
        table_class_name="CaseApprovalRow",
        tablename="case_approval",
        constraint_name="named_amount_is_positive",
        constraint_class=Check,
        params={"condition": "amount > 0"},
        schema=None,
    )

    return manager
