"""Open cases are found by an index, however many resolved cases there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from db import cases, engine
from domain.cases import CaseStatus
from domain.pages import PageRange
from domain.staff import Scope
from tests.support.builders import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

RESOLVED_CASES = 20_000


@pytest.fixture
async def open_case_ids(owner: asyncpg.Connection) -> list[str]:
    """Add many resolved cases and six older open ones; return the ids of the open ones."""
    await owner.execute(
        """
        insert into money_case (id, kind, status, opened_at, decision)
        select format('CASE_%s', n), 'UNMATCHED',
               case when n > $2 then 'RESOLVED' when n % 2 = 0 then 'OPEN'
                    else 'AWAITING_SECOND' end,
               $1::timestamptz + n * interval '1 minute', 'CLOSE'
          from generate_series(1, $3) as n
        """,
        NOW,
        6,
        RESOLVED_CASES,
    )
    await owner.execute(
        """
        insert into case_approval (money_case, actor, decision, reason, at)
        select id, actor, 'CLOSE', 'looked at it', $1
          from money_case cross join (values ('FI001'), ('FI002')) as who (actor)
        """,
        NOW,
    )
    await owner.execute("analyze money_case, case_approval")
    return [f"CASE_{n}" for n in range(6, 0, -1)]


async def test_open_cases_are_found_by_their_own_index(
    open_case_ids: list[str], owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is the generic one, which PostgreSQL uses for a statement that runs often."""
    statements: list[str] = []
    fetch = engine.fetch

    async def recording_fetch(sql: str, *args: object) -> Any:
        statements.append(sql)
        return await fetch(sql, *args)

    monkeypatch.setattr(cases, "fetch", recording_fetch)
    now = NOW + timedelta(days=30)
    found: dict[CaseStatus | None, list[str]] = {}
    for status in (None, *CaseStatus):
        page = await cases.page(Scope(), status, PageRange(size=50), now=now)
        found[status] = [case.id for case in page]
    assert found[CaseStatus.OPEN] == open_case_ids[::2]
    assert found[CaseStatus.AWAITING_SECOND] == open_case_ids[1::2]
    assert len(found[CaseStatus.RESOLVED]) == len(found[None]) == 50
    indexes = ["money_case_by_time", "money_case_open", "money_case_open", "money_case_by_time"]
    await owner.execute("set plan_cache_mode = force_generic_plan")
    for sql, index in zip(statements, indexes, strict=True):
        await owner.execute(f"prepare page as {sql}")
        rows = await owner.fetch("explain execute page(null, null, 50)")
        await owner.execute("deallocate page")
        plan = "\n".join(row[0] for row in rows)
        assert f"using {index} on money_case c" in plan, plan
        assert "Seq Scan on case_approval" not in plan, plan
