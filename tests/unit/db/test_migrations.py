"""A database of an earlier version is brought to this one with all that it holds."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager

from db import engine, payments
from db.migrate import MigrationFailed, migrate, pending
from domain.payment_search import PaymentFilter, PaymentOrder, folded
from domain.staff import Scope

pytestmark = pytest.mark.anyio

BEFORE_NAMES_WERE_FOLDED = "2026-11-22T09:00:01:webhook_desk"
NAMES = ["Phan Hữu Khoa", "Phan Hu\u031b\u0303u Khoa", "PHAN HUU  KHOA", "Đặng Thị B", ""]


async def migrate_to(url: str, migration_id: str) -> None:
    os.environ.setdefault("PICCOLO_CONF", "db.piccolo_conf")
    await engine.connect(url, pool_size=2, role=None)
    try:
        await ForwardsMigrationManager(app_name="mobinet", migration_id=migration_id).run()
    finally:
        await engine.disconnect()


async def test_names_of_before_are_found_as_new_ones_are(empty_database: str) -> None:
    await migrate_to(empty_database, BEFORE_NAMES_WERE_FOLDED)
    owner = await asyncpg.connect(empty_database)
    await owner.execute(
        """
        insert into staff (staff_id, name, role, permissions, seen_at)
        values ('S', 'Somebody', 'TIN_PNC', '[]', now());
        """
    )
    await owner.executemany(
        """
        insert into payment (id, version, status, method, amount, currency, contract_number,
            customer_name, staff, business_date, receipt_token, notify, created_at, updated_at,
            needs_verification, late, posting_status)
        values ('P' || $1::int, 1, 'FAILED', 'CASH', 1000, 'VND', 'C', $2, 'S', '2026-03-04',
            'R' || $1::int, '{}', now(), now(), false, false, 'NONE')
        """,
        [(number, NAMES[number % len(NAMES)]) for number in range(12_000)],
    )
    before = await owner.fetch("select * from payment order by id")
    await migrate(empty_database)
    after = await owner.fetch("select * from payment order by id")
    await owner.close()
    assert [dict(row) for row in after] == [
        dict(row) | {"customer_name_folded": folded(row["customer_name"])} for row in before
    ]
    await engine.connect(empty_database)
    try:
        assert await pending() == []
        found = await payments.totals(Scope(), PaymentFilter(search="phan hữu khoa"))
        assert found.count == 12_000 * 3 // 5
        page = await payments.page(
            Scope(),
            PaymentFilter(search="dang"),
            order=PaymentOrder.CREATED_ASC,
            after=None,
            most=1,
        )
        assert page[0].customer_name == "Đặng Thị B"
    finally:
        await engine.disconnect()


@pytest.fixture
async def owned(empty_database: str) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """The empty database, given to an owner who is no superuser, and the owner's address of it."""
    administrator = await asyncpg.connect(empty_database)
    database = await administrator.fetchval("select current_database()")
    name, password = f"mobinet_test_{secrets.token_hex(6)}", secrets.token_hex(12)
    await administrator.execute(
        f"""
        do $$ begin create role mobinet_app nologin; exception when duplicate_object then null; end $$;
        create role {name} login password '{password}';
        grant mobinet_app to {name};
        alter database {database} owner to {name};
        """
    )
    parts = urlsplit(empty_database)
    place = parts.netloc.rpartition("@")[2]
    url = parts._replace(netloc=f"{name}:{quote(password)}@{place}").geturl()
    try:
        yield administrator, url
    finally:
        await administrator.execute(
            f"reassign owned by {name} to current_user; drop owned by {name}"
        )
        await administrator.execute(f"drop role {name}")
        await administrator.close()


async def test_an_owner_who_is_no_superuser_can_migrate(
    owned: tuple[asyncpg.Connection, str],
) -> None:
    administrator, url = owned
    await migrate(url)
    assert await administrator.fetchval("select true from pg_extension where extname = 'pg_trgm'")


async def test_an_owner_who_may_not_create_the_extension_learns_what_to_do(
    owned: tuple[asyncpg.Connection, str],
) -> None:
    administrator, url = owned
    await migrate_to(url, BEFORE_NAMES_WERE_FOLDED)
    database, owner = await administrator.fetchrow(
        "select current_database(), pg_get_userbyid(datdba) from pg_database"
        " where datname = current_database()"
    )
    await administrator.execute(f"revoke create on database {database} from {owner}")
    columns = "select count(*) from pg_attribute where attrelid = 'payment'::regclass"
    before = await administrator.fetchval(columns)
    with pytest.raises(MigrationFailed, match="CREATE EXTENSION pg_trgm"):
        await migrate(url)
    assert await administrator.fetchval(columns) == before
    await administrator.execute("create extension pg_trgm")
    await migrate(url)
