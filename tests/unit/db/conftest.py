"""A connected engine, acting as the application does, and a connection of the owner's beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from db import engine
from tests.support.databases import copy_of


@pytest.fixture(scope="module")
def kept(database_url: str, template: str) -> Iterator[str]:
    """A migrated database for one module of tests."""
    with copy_of(template, database_url) as url:
        yield url


@pytest.fixture
async def connected(kept: str) -> AsyncIterator[str]:
    await engine.connect(kept)
    yield kept
    await engine.disconnect()


@pytest.fixture
async def owner(kept: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(kept)
    yield connection
    await connection.close()
