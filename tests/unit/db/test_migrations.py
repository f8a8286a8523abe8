"""What `migrate` does with a new database, and with one that an earlier version made."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from pydantic import SecretStr
from typer.testing import CliRunner

from db.migrate import MadeEarlier, MigrationFailed, check, migrate
from mobinet.cli import app
from mobinet.doctor import examine
from mobinet.services import CannotRun, start_plan
from mobinet.settings import Settings

pytestmark = pytest.mark.anyio

EARLIER_IDS = ["2026-11-22T00:00:01:tables", "2026-11-30T23:59:01:evidence_source"]
MADE_EARLIER = "An earlier version of Mobinet made this database"
TRIGGERS = (
    "select count(*) from pg_trigger where tgrelid = 'pgqueuer'::regclass and not tgisinternal"
)
TABLES = "select relname from pg_class where relnamespace = 'public'::regnamespace order by 1"


# ── a new database ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def owned(empty_database: str) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """The empty database, given to an owner who is no superuser, and the owner's address of it."""
    administrator = await asyncpg.connect(empty_database)
    database = await administrator.fetchval("select current_database()")
    name, password = f"mobinet_test_{secrets.token_hex(6)}", secrets.token_hex(12)
    await administrator.execute(
        f"""
        do $$ begin create role mobinet_app nologin;
        exception when duplicate_object then null; end $$;
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
    database, owner = await administrator.fetchrow(
        "select current_database(), pg_get_userbyid(datdba) from pg_database"
        " where datname = current_database()"
    )
    await administrator.execute(f"revoke create on database {database} from {owner}")
    with pytest.raises(MigrationFailed, match="CREATE EXTENSION pg_trgm"):
        await migrate(url)
    tables = await administrator.fetch(
        "select tablename from pg_tables where schemaname = 'public'"
    )
    assert [row["tablename"] for row in tables] == ["migration"]
    assert await administrator.fetchval("select count(*) from migration") == 0
    await administrator.execute("create extension pg_trgm")
    await migrate(url)


async def test_the_trigger_that_an_upgrade_of_pgqueuer_restores_is_gone_after_migrating(
    fresh_database: str,
) -> None:
    connection = await asyncpg.connect(fresh_database)
    job = "insert into pgqueuer (priority, status, entrypoint) values (0, 'queued', 'refund')"
    await connection.execute(job)
    await Queries(AsyncpgDriver(connection)).upgrade()
    assert await connection.fetchval(TRIGGERS) > 0, "the upgrade restores it"
    await migrate(fresh_database)
    assert await connection.fetchval(TRIGGERS) == 0
    assert await connection.fetchval("select deaths from pgqueuer") == 0
    await connection.close()


# ── a database that an earlier version made ──────────────────────────────────────────────────────


async def add_ids(url: str, ids: list[str]) -> None:
    """Add the ids as those of migrations that have run."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        create table if not exists migration (
            id serial primary key, name varchar(200), app_name varchar(200),
            ran_on timestamp default now())
        """
    )
    await connection.executemany(
        "insert into migration (name, app_name) values ($1, 'mobinet')", [(id,) for id in ids]
    )
    await connection.close()


async def contents(url: str) -> tuple[list[str], list[str]]:
    """Return the names of all tables, indexes and sequences, and the ids that have run."""
    connection = await asyncpg.connect(url)
    relations = await connection.fetch(TABLES)
    ids = await connection.fetch("select name from migration order by id")
    await connection.close()
    return [row[0] for row in relations], [row[0] for row in ids]


@pytest.fixture(params=["earlier only", "earlier and present"])
async def earlier_database(
    request: pytest.FixtureRequest, empty_database: str, fresh_database: str
) -> AsyncIterator[str]:
    """A database with ids of an earlier version, which is untouched when the test ends."""
    url = empty_database if request.param == "earlier only" else fresh_database
    await add_ids(url, EARLIER_IDS)
    before = await contents(url)
    yield url
    assert await contents(url) == before


@pytest.fixture
def settings(earlier_database: str, redis_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "logs").mkdir()
    return Settings(
        data_dir=tmp_path,
        database_url=SecretStr(earlier_database),
        redis_url=SecretStr(redis_url),
    )


async def test_an_earlier_database_is_neither_migrated_nor_used(earlier_database: str) -> None:
    for use in (migrate, check):
        with pytest.raises(MadeEarlier, match="move the whole data folder aside"):
            await use(earlier_database)


async def test_a_run_ends_where_the_database_is_an_earlier_one(
    settings: Settings, earlier_database: str
) -> None:
    with pytest.raises(CannotRun, match=MADE_EARLIER):
        await start_plan(settings).prepare_database(earlier_database)


async def test_the_doctor_recognises_an_earlier_database(settings: Settings) -> None:
    (finding,) = [item for item in await examine(settings) if "migrations" in item.text]
    assert not finding.ok
    assert finding.remedy.startswith(MADE_EARLIER)


@pytest.fixture
def runner(earlier_database: str, redis_url: str, tmp_path: Path) -> CliRunner:
    env: dict[str, str | None] = dict.fromkeys(
        name for name in os.environ if name.startswith("MOBINET_")
    )
    env |= {
        "MOBINET_DATA_DIR": str(tmp_path),
        "MOBINET_DATABASE_URL": earlier_database,
        "MOBINET_REDIS_URL": redis_url,
    }
    return CliRunner(env=env)


@pytest.mark.parametrize(
    "command",
    ["serve", "work", "migrate", "verify", f"settle vnpay {__file__}", "keys rotate"],
    ids=lambda command: command.split()[0],
)
async def test_a_command_ends_in_one_line_where_the_database_is_an_earlier_one(
    command: str, runner: CliRunner
) -> None:
    done = await asyncio.to_thread(runner.invoke, app, command)  # it runs a loop of its own
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith(MADE_EARLIER)


async def test_a_database_that_a_later_version_migrated_is_used(fresh_database: str) -> None:
    await add_ids(fresh_database, ["2999-01-01T00:00:01:later"])
    await migrate(fresh_database)
    await check(fresh_database)
