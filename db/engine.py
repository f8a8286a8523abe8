"""The one engine: Piccolo's, on an asyncpg pool, connected when told and never by an import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

Row = Mapping[str, Any]  # what a statement returns, by column name

APPLICATION_ROLE = "mobinet_app"  # owns nothing, and may not change what must not change


class Transaction(PostgresTransaction):
    """
    Piccolo's, but its connection always goes back: also from a COMMIT that fails, and a BEGIN that is
    cancelled. The stock one leaks it then, and a pool of n hangs for ever after n of them.
    """

    async def __aenter__(self) -> PostgresTransaction:
        untyped = cast("Any", self)
        untyped.connection = await untyped.get_connection()
        try:
            self.transaction = untyped.connection.transaction()
            await self.begin()
        except BaseException:
            untyped.connection.terminate()
            await untyped.engine.pool.release(untyped.connection)
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(self, exception_type: Any, exception: Any, traceback: Any) -> bool:
        try:
            if exception is None:
                await self.commit()
            else:
                await self.rollback()
        except BaseException:
            connection = cast("Any", self).connection
            if not connection.is_closed():
                connection.terminate()
            raise
        finally:
            self.engine.current_transaction.reset(self.context)
            untyped = cast("Any", self)
            await untyped.engine.pool.release(untyped.connection)
        return False


class Engine(PostgresEngine):
    async def check_version(self) -> None:
        """Stay quiet at import; `mobinet doctor` and `/readyz` tell about the server."""

    async def prep_database(self) -> None:
        """Create no extension: the migrations say what the database needs."""

    def transaction(self, allow_nested: bool = False) -> Transaction:
        return Transaction(engine=self, allow_nested=allow_nested)


DB = Engine(config={})

LOST_CONNECTION: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What a statement raises where the server, not the statement, is in the way."""


async def connect(url: str, *, pool_size: int = 8, role: str | None = APPLICATION_ROLE) -> None:
    """Open the pool. *role* is what the connections act as, whoever logged in."""
    DB.config = {"dsn": url}
    settings = {"timezone": "UTC", "application_name": "mobinet"}
    if role is not None:
        settings["role"] = role
    database: Any = DB
    await database.start_connection_pool(
        min_size=1,
        max_size=pool_size,
        server_settings=settings,
        reset=_nothing,
        command_timeout=20,
    )


async def own_connection(url: str | None = None) -> Any:
    """Return a connection outside the pool, for a lock held as long as it lives; close it."""
    driver: Any = asyncpg
    return await driver.connect(url if url is not None else DB.config["dsn"])


async def act_as_the_application() -> None:
    """Raise what PostgreSQL says where whoever logged in may not. For a pool of one connection."""
    await execute(f"set role {APPLICATION_ROLE}")


async def disconnect() -> None:
    await DB.close_connection_pool()


async def _nothing(_: object) -> None:
    """No session state is ever left behind, so none is reset: the stock RESET halves throughput."""


class NotText(ValueError):
    """A text holds what no text of the database can: the character U+0000."""


async def fetch(sql: str, *args: object) -> Sequence[Row]:
    """
    Run a hot statement: prepared once a connection, in the current transaction if there is one.

    Raises NotText.
    """
    transaction: Any = DB.current_transaction.get()
    runner = cast("Any", DB).pool if transaction is None else transaction.connection
    assert runner is not None, "the database is not connected: await db.engine.connect(url)"
    try:
        return await runner.fetch(sql, *args)
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
        raise NotText from None


async def fetchrow(sql: str, *args: object) -> Row | None:
    rows = await fetch(sql, *args)
    return rows[0] if rows else None


async def fetchval(sql: str, *args: object) -> Any:
    row = await fetchrow(sql, *args)
    return None if row is None else next(iter(row.values()))


async def execute(sql: str, *args: object) -> None:
    await fetch(sql, *args)
