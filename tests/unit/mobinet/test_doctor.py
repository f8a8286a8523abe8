"""The doctor names each problem and its remedy, and prints no secret."""

from __future__ import annotations

import secrets
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from db.migrate import NotReady, check
from domain.money import Rate
from mobinet.doctor import examine
from mobinet.settings import Settings


@pytest.fixture
def healthy(fresh_database: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=SecretStr(fresh_database),
        redis_url=SecretStr(redis_url),
        sandbox_port=1,  # nothing listens there
    )


async def problems(settings: Settings) -> list[str]:
    return [str(result) for result in await examine(settings) if not result.ok]


async def test_a_migrated_database_and_a_redis_that_answers_are_ok(healthy):
    [problem] = await problems(healthy)
    assert "sandbox" in problem
    assert "mobinet sandbox" in problem


async def test_an_account_that_other_programs_use_is_named(healthy):
    momo = healthy.momo.model_copy(update={"shared": True})
    stripe = healthy.stripe.model_copy(update={"shared": True})
    lines = [
        str(result)
        for result in await examine(healthy.model_copy(update={"momo": momo, "stripe": stripe}))
    ]
    assert any("used by other programs too: MOMO, STRIPE" in line for line in lines)
    assert any(
        "used by other programs too: none" in str(result) for result in await examine(healthy)
    )


async def test_a_database_that_was_not_migrated_is_a_problem(healthy, empty_database):
    lines = await problems(healthy.model_copy(update={"database_url": SecretStr(empty_database)}))
    assert any("have not run" in line and "mobinet migrate" in line for line in lines)


async def test_unreachable_servers_are_named_without_their_passwords(healthy):
    unreachable = {
        "database_url": SecretStr("postgresql://mobinet:hidden@127.0.0.1:1/mobinet"),
        "redis_url": SecretStr("redis://:hidden@127.0.0.1:1/0"),
    }
    lines = await problems(healthy.model_copy(update=unreachable))
    assert any("PostgreSQL" in line and "MOBINET_DATABASE_URL" in line for line in lines)
    assert any("Redis" in line and "MOBINET_REDIS_URL" in line for line in lines)
    assert not any("hidden" in line for line in lines)


async def test_an_outdated_dollar_rate_is_a_problem(healthy):
    old = healthy.paypal.model_copy(
        update={"usd_rate": Rate(dong_per_dollar=26_000, day=date(2025, 7, 29))}
    )
    lines = await problems(healthy.model_copy(update={"paypal": old}))
    assert any("dollar rate" in line and "MOBINET_PAYPAL__USD_RATE" in line for line in lines)


async def test_a_login_that_may_not_act_as_the_application_is_a_problem(healthy, fresh_database):
    connection = await asyncpg.connect(fresh_database)
    name = f"mobinet_test_{secrets.token_hex(6)}"
    await connection.execute(f"create role {name} login; grant select on migration to {name}")
    parts = urlsplit(fresh_database)
    url = parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}").geturl()
    try:
        lines = await problems(healthy.model_copy(update={"database_url": SecretStr(url)}))
        assert any("GRANT mobinet_app" in line for line in lines)
        with pytest.raises(NotReady, match="permission denied"):
            await check(url)
    finally:
        await connection.execute(f"drop owned by {name}; drop role {name}")
        await connection.close()
