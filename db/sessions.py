"""Sessions, and the programs that log in. Refresh tokens are hashes, wallet tokens encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from db import staff
from db.engine import Row, execute, fetch, fetchrow, fetchval
from domain.staff import Role, Staff


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    staff: Staff
    expires_at: datetime
    refresh_hash: bytes = field(repr=False)


async def add(session: Session, *, wallet_token: bytes | None, now: datetime) -> None:
    await execute(
        """
        insert into session (id, staff, refresh_hash, wallet_token, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        session.id,
        session.staff.staff_id,
        session.refresh_hash,
        wallet_token,
        now,
        session.expires_at,
    )


async def by_id(session_id: str, now: datetime) -> Session | None:
    """Return the session; None where it has ended or expired, or does not exist."""
    row = await fetchrow(
        """
        select session.id, session.expires_at, session.refresh_hash, staff.* from session
          join staff on staff.staff_id = session.staff
         where id = $1 and ended_at is null and expires_at > $2
        """,
        session_id,
        now,
    )
    return None if row is None else _session(row)


async def rotate(session_id: str, *, old_hash: bytes, new_hash: bytes) -> bool:
    """Replace the refresh token's hash; False where another request replaced it first."""
    return (
        await fetchval(
            """
            update session set refresh_hash = $3
             where id = $1 and refresh_hash = $2 and ended_at is null
            returning 1
            """,
            session_id,
            old_hash,
            new_hash,
        )
        is not None
    )


async def end(session_id: str, now: datetime) -> None:
    await execute(
        "update session set ended_at = $2 where id = $1 and ended_at is null", session_id, now
    )


async def is_open(session_id: str, now: datetime) -> bool:
    return (
        await fetchval(
            "select 1 from session where id = $1 and ended_at is null and expires_at > $2",
            session_id,
            now,
        )
        is not None
    )


async def still_open(session_ids: Sequence[str], now: datetime) -> set[str]:
    """Return those of the sessions that are open."""
    rows = await fetch(
        "select id from session where id = any($1) and ended_at is null and expires_at > $2",
        session_ids,
        now,
    )
    return {row["id"] for row in rows}


async def wallet_token(session_id: str) -> bytes | None:
    """Return the encrypted token; None where the session has none or does not exist."""
    return await fetchval("select wallet_token from session where id = $1", session_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiClient:
    client_id: str
    name: str
    role: Role
    secret_hash: bytes


async def api_client(client_id: str) -> ApiClient | None:
    row = await fetchrow("select * from api_client where client_id = $1", client_id)
    if row is None:
        return None
    return ApiClient(
        client_id=row["client_id"],
        name=row["name"],
        role=Role(row["role"]),
        secret_hash=row["secret_hash"],
    )


async def register_api_client(client: ApiClient, now: datetime) -> None:
    """Add the program, unless the database has one of this id."""
    await execute(
        """
        insert into api_client (client_id, name, role, secret_hash, created_at)
        values ($1, $2, $3, $4, $5) on conflict (client_id) do nothing
        """,
        client.client_id,
        client.name,
        client.role,
        client.secret_hash,
        now,
    )


async def revoke_known_secret(client_id: str, secret_hash: bytes) -> None:
    """Replace the program's secret by one that never matches, where it still has this one."""
    await execute(
        "update api_client set secret_hash = $3 where client_id = $1 and secret_hash = $2",
        client_id,
        secret_hash,
        b"",
    )


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        staff=staff.from_row(row),
        expires_at=row["expires_at"],
        refresh_hash=row["refresh_hash"],
    )
