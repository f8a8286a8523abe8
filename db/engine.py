"""The engine: Piccolo's on an asyncpg pool. `connect` opens it; an import does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

Row = Mapping[str, Any]  # a row that a statement returns, by column name

APPLICATION_ROLE = "mobinet_app"  # owns nothing; its privileges are in the migrations


class Transaction(PostgresTransaction):
    """
    Piccolo's transaction, which always returns its connection to the pool.

    The stock one loses it where COMMIT fails or BEGIN is cancelled, until the pool is empty.
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
        """Print nothing at import; `mobinet doctor` and `/readyz` report on the server."""

    async def prep_database(self) -> None:
        """Create no extension; the migrations do."""

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
"""The errors of a statement whose cause is the server or the connection."""


async def connect(url: str, *, pool_size: int = 8, role: str | None = APPLICATION_ROLE) -> None:
    """Open the pool; its connections act as *role*, or as the login where it is None."""
    DB.config = {"dsn": url}
    settings = {"timezone": "UTC", "application_name": "mobinet"}
    if role is not None:
        settings["role"] = role
    database: Any = DB
    await database.start_connection_pool(
        min_size=1,
        max_size=pool_size,
        server_settings=settings,
        reset=_keep_state,
        command_timeout=20,
    )


async def own_connection(url: str | None = None) -> Any:
    """Return a connection outside the pool, to *url* or the pool's server. The caller closes it."""
    driver: Any = asyncpg
    return await driver.connect(url if url is not None else DB.config["dsn"])


async def act_as_the_application() -> None:
    """Set the application's role, in a pool of one connection. Raises PostgreSQL's refusal."""
    await execute(f"set role {APPLICATION_ROLE}")


async def disconnect() -> None:
    await DB.close_connection_pool()


async def _keep_state(_: object) -> None:
    """Reset nothing: no session state is ever left, and the stock RESET halves throughput."""


class UnstorableText(ValueError):
    """A text holds the character U+0000, which the database cannot store."""


async def fetch(sql: str, *args: object) -> Sequence[Row]:
    """
    Run a statement in the current transaction, if any; each connection prepares it once.

    Raises UnstorableText.
    """
    transaction: Any = DB.current_transaction.get()
    runner = cast("Any", DB).pool if transaction is None else transaction.connection
    assert runner is not None, "the database is not connected: await db.engine.connect(url)"
    try:
        return await runner.fetch(sql, *args)
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
        raise UnstorableText from None


async def fetchrow(sql: str, *args: object) -> Row | None:
    rows = await fetch(sql, *args)
    return rows[0] if rows else None


async def fetchval(sql: str, *args: object) -> Any:
    row = await fetchrow(sql, *args)
    return None if row is None else next(iter(row.values()))


async def execute(sql: str, *args: object) -> None:
    await fetch(sql, *args)
