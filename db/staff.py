"""Members of staff who have logged in, as Staff Management last described them."""

from __future__ import annotations

from datetime import datetime

import orjson

from db.engine import Row, execute, fetchrow
from domain.staff import Role, Staff


async def upsert(staff: Staff, now: datetime) -> None:
    """Add or update the member of staff."""
    await execute(
        """
        insert into staff (staff_id, name, role, team, permissions, seen_at)
        values ($1, $2, $3, $4, $5, $6)
            on conflict (staff_id) do update
           set name = excluded.name, role = excluded.role, team = excluded.team,
               permissions = excluded.permissions, seen_at = excluded.seen_at
        """,
        staff.staff_id,
        staff.name,
        staff.role,
        staff.team,
        orjson.dumps(staff.permissions).decode(),
        now,
    )


async def by_id(staff_id: str) -> Staff | None:
    row = await fetchrow("select * from staff where staff_id = $1", staff_id)
    return None if row is None else from_row(row)


def from_row(row: Row) -> Staff:
    return Staff(
        staff_id=row["staff_id"],
        name=row["name"],
        role=Role(row["role"]),
        permissions=tuple(orjson.loads(row["permissions"])),
        team=row["team"],
    )
