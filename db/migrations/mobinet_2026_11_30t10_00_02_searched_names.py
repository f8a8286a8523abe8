"""Every payment has its customer's name as a search compares it, in an index of three-letter parts."""

from __future__ import annotations

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Text

from db.transaction import connection, transaction
from domain.payment_search import folded

ID = "2026-11-30T10:00:02:searched_names"
VERSION = "1.38.0"
DESCRIPTION = "customers' names as a search compares them, and their index"

BATCH = 5000
SECONDS = 3600


async def forwards() -> MigrationManager:
    # A transaction for each batch: a payment in hand waits for one batch at most.
    manager = MigrationManager(
        migration_id=ID, app_name="mobinet", description=DESCRIPTION, wrap_in_transaction=False
    )

    async def names() -> None:
        last = ""
        while last is not None:
            async with transaction():
                last = await _fill(after=last)
        async with transaction():
            await connection().execute("lock table payment in share row exclusive mode")
            last = ""
            while last is not None:  # what came in meanwhile, from a process of the version before
                last = await _fill(after=last)
            await connection().execute(
                """
                alter table payment alter column customer_name_folded set not null;
                create index if not exists payment_by_customer_name
                    on payment using gin (customer_name_folded gin_trgm_ops);
                """,
                timeout=SECONDS,
            )

    manager.add_raw(names)
    manager.alter_column(
        table_class_name="PaymentRow",
        tablename="payment",
        column_name="customer_name_folded",
        db_column_name="customer_name_folded",
        params={"null": False},
        old_params={"null": True},
        column_class=Text,
        old_column_class=Text,
        schema=None,
    )
    return manager


async def _fill(*, after: str) -> str | None:
    """Fold the names of a batch of payments; return the last one's id, None where none was left."""
    rows = await connection().fetch(
        """
        select id, customer_name from payment
         where id > $1 and customer_name_folded is null order by id limit $2
        """,
        after,
        BATCH,
        timeout=SECONDS,
    )
    if not rows:
        return None
    await connection().execute(
        """
        update payment set customer_name_folded = given.folded
          from unnest($1::text[], $2::text[]) given (id, folded) where payment.id = given.id
        """,
        [row["id"] for row in rows],
        [folded(row["customer_name"]) for row in rows],
        timeout=SECONDS,
    )
    return rows[-1]["id"]
