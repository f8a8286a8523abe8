"""The doctor names what is wrong and how to mend it, and keeps secrets to itself."""

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
def well(fresh_database: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=SecretStr(fresh_database),
        redis_url=SecretStr(redis_url),
        sandbox_port=1,  # where nobody listens
    )


async def ill(settings: Settings) -> list[str]:
    return [str(finding) for finding in await examine(settings) if not finding.well]


async def test_a_migrated_database_and_a_redis_that_answers_are_well(well):
    [only] = await ill(well)
    assert "sandbox" in only
    assert "mobinet sandbox" in only


async def test_an_account_that_other_programs_use_is_named(well):
    momo = well.momo.model_copy(update={"shared": True})
    stripe = well.stripe.model_copy(update={"shared": True})
    said = [
        str(item)
        for item in await examine(well.model_copy(update={"momo": momo, "stripe": stripe}))
    ]
    assert any("used by other programs too: MOMO, STRIPE" in line for line in said)
    assert any("used by other programs too: none" in str(item) for item in await examine(well))


async def test_a_database_that_was_not_migrated_is_not_well(well, empty_database):
    findings = await ill(well.model_copy(update={"database_url": SecretStr(empty_database)}))
    assert any("have not run" in finding and "mobinet migrate" in finding for finding in findings)


async def test_servers_that_are_away_are_named_without_their_passwords(well):
    away = {
        "database_url": SecretStr("postgresql://mobinet:hidden@127.0.0.1:1/mobinet"),
        "redis_url": SecretStr("redis://:hidden@127.0.0.1:1/0"),
    }
    findings = await ill(well.model_copy(update=away))
    assert any(
        "PostgreSQL" in finding and "MOBINET_DATABASE_URL" in finding for finding in findings
    )
    assert any("Redis" in finding and "MOBINET_REDIS_URL" in finding for finding in findings)
    assert not any("hidden" in finding for finding in findings)


async def test_a_dollar_rate_that_is_too_old_to_charge_by_is_not_well(well):
    old = well.paypal.model_copy(update={"usd_rate": Rate(dong=26_000, day=date(2025, 7, 29))})
    findings = await ill(well.model_copy(update={"paypal": old}))
    assert any(
        "dollar rate" in finding and "MOBINET_PAYPAL__USD_RATE" in finding for finding in findings
    )


async def test_a_login_that_may_not_act_as_the_application_is_not_well(well, fresh_database):
    connection = await asyncpg.connect(fresh_database)
    name = f"mobinet_test_{secrets.token_hex(6)}"
    await connection.execute(f"create role {name} login; grant select on migration to {name}")
    stranger = urlsplit(fresh_database)
    stranger = stranger._replace(netloc=f"{name}@{stranger.netloc.rpartition('@')[2]}").geturl()
    try:
        findings = await ill(well.model_copy(update={"database_url": SecretStr(stranger)}))
        assert any("GRANT mobinet_app" in finding for finding in findings)
        with pytest.raises(NotReady, match="permission denied"):
            await check(stranger)
    finally:
        await connection.execute(f"drop owned by {name}; drop role {name}")
        await connection.close()
