"""What `mobinet doctor` looks at: each finding says how it is, and how to mend it where it is not well."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import starmap
from urllib.parse import urlsplit

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db import engine
from db import migrate as migrations
from domain.calendar import business_date
from domain.money import RATE_GOOD_FOR, Rate
from mobinet.settings import Settings

_PATIENCE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    well: bool
    what: str
    mend: str = ""

    def __str__(self) -> str:
        mark = (
            typer.style("ok  ", fg="green")
            if self.well
            else typer.style("BAD ", fg="red", bold=True)
        )
        return f"{mark} {self.what}" + (
            f"\n       → {self.mend}" if self.mend and not self.well else ""
        )


async def examine(settings: Settings) -> Sequence[Finding]:
    """The settings name a database and a Redis by now."""
    findings = [Finding(well=True, what=what) for what in _configured(settings)]
    findings += [_rate(settings.paypal.usd_rate)]
    findings += [finding async for finding in _database(settings)]
    findings += [await _redis(settings)]
    findings += await asyncio.gather(*starmap(_system, _systems(settings)))
    return findings


def _configured(settings: Settings) -> Sequence[str]:
    keys = settings.keys
    return (
        f"environment   {settings.env}, served at {settings.public_url}, data in {settings.data_dir}",
        f"keys          {len(keys.signing)} for tokens, {len(keys.receipts) or 'a derived one'} for receipts, encryption set",
        f"limits        four eyes above {settings.four_eyes_above:,} VND, cash in hand "
        + (
            "as the daily limit"
            if settings.cash_in_hand_limit is None
            else f"{settings.cash_in_hand_limit:,} VND"
        ),
        f"accounts      used by other programs too: {', '.join(sorted(settings.shared)) or 'none'}",
    )


def _rate(rate: Rate) -> Finding:
    return Finding(
        well=rate.is_good(business_date(datetime.now(UTC))),
        what=f"dollar rate   {rate.dong:,} VND, of {rate.day}; good for {RATE_GOOD_FOR.days} days",
        mend="set MOBINET_PAYPAL__USD_RATE to today's, such as 26000@2025-07-29; until then PayPal is refused",
    )


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    what = f"PostgreSQL    {_masked(url)}"
    try:
        await asyncio.wait_for(engine.connect(url, pool_size=1, role=None), _PATIENCE)
    except Exception as error:  # whatever it is, it is the finding
        yield Finding(
            well=False,
            what=f"{what}: {_short(error)}",
            mend="start it, create the database, or correct MOBINET_DATABASE_URL",
        )
        return
    yield Finding(well=True, what=what)
    try:
        yield await _migrations()
    finally:
        await engine.disconnect()


async def _migrations() -> Finding:
    try:
        await migrations.check_origin()
        if missing := await migrations.pending():
            what = f"migrations    {len(missing)} have not run"
            return Finding(well=False, what=what, mend="run `mobinet migrate`")
        await engine.act_as_the_application()
    except migrations.MadeEarlier as error:
        return Finding(well=False, what="migrations    an earlier version's", mend=f"{error}")
    except Exception as error:
        return Finding(
            well=False,
            what=f"migrations    {_short(error)}",
            mend=f"let the login act as the application: GRANT {engine.APPLICATION_ROLE} TO it",
        )
    return Finding(well=True, what="migrations    all have run")


async def _redis(settings: Settings) -> Finding:
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value()
    what = f"Redis         {_masked(url)}"
    client = Redis.from_url(url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE)  # pyright: ignore[reportUnknownMemberType]
    try:
        await client.ping()  # pyright: ignore[reportUnknownMemberType]
    except (RedisError, OSError) as error:
        return Finding(
            well=False,
            what=f"{what}: {_short(error)}",
            mend="start it, or correct MOBINET_REDIS_URL",
        )
    finally:
        await client.aclose()
    return Finding(well=True, what=what)


def _systems(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Name, address and mending; those that the sandbox plays are one."""
    if settings.uses_sandbox:
        yield (
            "sandbox",
            settings.sandbox_url,
            "start `mobinet sandbox`, or everything with `mobinet run`",
        )
    for name, url in settings.systems.items():
        if not url.startswith(settings.sandbox_url):
            yield name, url, f"correct MOBINET_{name.upper()}__URL, or ask for a way through to it"


async def _system(name: str, url: str, mend: str) -> Finding:
    what = f"{name:<13} {url}"
    address = urlsplit(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        _, writer = await asyncio.wait_for(
            asyncio.open_connection(address.hostname, port), _PATIENCE
        )
    except (OSError, TimeoutError) as error:
        return Finding(well=False, what=f"{what}: {_short(error)}", mend=mend)
    writer.close()
    return Finding(well=True, what=what)


def _masked(url: str) -> str:
    """Without the password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:…@{place}").geturl()


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
