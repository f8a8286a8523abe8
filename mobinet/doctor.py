"""`mobinet doctor`: check the settings and what they name; each problem comes with a remedy."""

from __future__ import annotations

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

_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check; `remedy` says how to mend what failed."""

    ok: bool
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"{typer.style('ok  ', fg='green')} {self.text}"
        remedy = f"\n       → {self.remedy}" if self.remedy else ""
        return f"{typer.style('BAD ', fg='red', bold=True)} {self.text}{remedy}"


async def examine(settings: Settings) -> Sequence[Check]:
    """Return the result of every check; the settings must name a database and a Redis."""
    checks = [Check(ok=True, text=text) for text in _summary(settings)]
    checks += [_dollar_rate(settings.paypal.usd_rate)]
    checks += [check async for check in _database(settings)]
    checks += [await _redis(settings)]
    checks += await asyncio.gather(*starmap(_system, _systems(settings)))
    return checks


def _summary(settings: Settings) -> Sequence[str]:
    keys = settings.keys
    cash_limit = (
        "as the daily limit"
        if settings.cash_in_hand_limit is None
        else f"{settings.cash_in_hand_limit:,} VND"
    )
    return (
        f"environment   {settings.env}, served at {settings.public_url},"
        f" data in {settings.data_dir}",
        f"keys          {len(keys.signing)} for tokens,"
        f" {len(keys.receipts) or 'a derived one'} for receipts, encryption set",
        f"limits        four eyes above {settings.four_eyes_above:,} VND,"
        f" cash in hand {cash_limit}",
        f"accounts      used by other programs too: {', '.join(sorted(settings.shared)) or 'none'}",
    )


def _dollar_rate(rate: Rate) -> Check:
    return Check(
        ok=rate.is_good(business_date(datetime.now(UTC))),
        text=f"dollar rate   {rate.dong_per_dollar:,} VND, of {rate.day};"
        f" good for {RATE_GOOD_FOR.days} days",
        remedy="set MOBINET_PAYPAL__USD_RATE to today's, such as 26000@2025-07-29;"
        " until then PayPal is refused",
    )


async def _database(settings: Settings) -> AsyncIterator[Check]:
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    text = f"PostgreSQL    {_without_password(url)}"
    try:
        await asyncio.wait_for(engine.connect(url, pool_size=1, role=None), _TIMEOUT_SECONDS)
    except Exception as error:  # any failure to connect is the result
        yield Check(
            ok=False,
            text=f"{text}: {_first_line(error)}",
            remedy="start it, create the database, or correct MOBINET_DATABASE_URL",
        )
        return
    yield Check(ok=True, text=text)
    try:
        yield await _migrations()
    finally:
        await engine.disconnect()


async def _migrations() -> Check:
    try:
        await migrations.check_origin()
        if pending := await migrations.pending():
            text = f"migrations    {len(pending)} have not run"
            return Check(ok=False, text=text, remedy="run `mobinet migrate`")
        await engine.act_as_the_application()
    except migrations.MadeEarlier as error:
        return Check(ok=False, text="migrations    an earlier version's", remedy=f"{error}")
    except Exception as error:
        return Check(
            ok=False,
            text=f"migrations    {_first_line(error)}",
            remedy=f"let the login act as the application: GRANT {engine.APPLICATION_ROLE} TO it",
        )
    return Check(ok=True, text="migrations    all have run")


async def _redis(settings: Settings) -> Check:
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value()
    text = f"Redis         {_without_password(url)}"
    client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS
    )
    try:
        await client.ping()  # pyright: ignore[reportUnknownMemberType]
    except (RedisError, OSError) as error:
        return Check(
            ok=False,
            text=f"{text}: {_first_line(error)}",
            remedy="start it, or correct MOBINET_REDIS_URL",
        )
    finally:
        await client.aclose()
    return Check(ok=True, text=text)


def _systems(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield each outer system's name, address and remedy; the sandbox counts as one system."""
    if settings.uses_sandbox:
        yield (
            "sandbox",
            settings.sandbox_url,
            "start `mobinet sandbox`, or everything with `mobinet run`",
        )
    for name, url in settings.systems.items():
        if not url.startswith(settings.sandbox_url):
            yield name, url, f"correct MOBINET_{name.upper()}__URL, or ask for network access to it"


async def _system(name: str, url: str, remedy: str) -> Check:
    text = f"{name:<13} {url}"
    address = urlsplit(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    connecting = asyncio.open_connection(address.hostname, port)
    try:
        _, writer = await asyncio.wait_for(connecting, _TIMEOUT_SECONDS)
    except (OSError, TimeoutError) as error:
        return Check(ok=False, text=f"{text}: {_first_line(error)}", remedy=remedy)
    writer.close()
    return Check(ok=True, text=text)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    login, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login.partition(':')[0]}:…@{host}").geturl()


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
