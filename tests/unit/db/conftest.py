"""A connected engine that acts as the application does, and a connection of the owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from db import engine
from tests.support.databases import copy_of


@pytest.fixture(scope="module")
def module_database(database_url: str, template: str) -> Iterator[str]:
    """A migrated database for one module of tests."""
    with copy_of(template, database_url) as url:
        yield url


@pytest.fixture
async def connected(module_database: str) -> AsyncIterator[str]:
    await engine.connect(module_database)
    yield module_database
    await engine.disconnect()


@pytest.fixture
async def owner(module_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(module_database)
    yield connection
    await connection.close()
