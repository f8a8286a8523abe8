"""Payments are read by an index, a page in one statement."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from db import engine, payments
from domain.pages import PageRange
from domain.payment_search import PaymentFilter, PaymentOrder
from domain.staff import Scope
from tests.support.builders import NOW
from tests.support.running_api import statements

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

EVERYONE = Scope()
ALL = PaymentFilter()
NEWEST = PaymentOrder.CREATED_DESC
PAYMENT_COUNT = 20_000


@pytest.fixture(scope="module")
async def many_payments(module_database: str) -> str:
    """Add 20,000 payments of 40 collectors in 4 teams, with items, attempts and statistics."""
    owner = await asyncpg.connect(module_database)
    await owner.execute(
        f"""
        insert into staff (staff_id, name, role, team, permissions, seen_at)
        select 'S' || n, 'Somebody', 'TIN_PNC', 'T' || n % 4, '[]', now()
          from generate_series(0, 39) n;
        insert into payment (id, version, status, method, amount, currency, contract_number,
            customer_name, customer_name_folded, staff, team, business_date, receipt_token, notify,
            created_at, updated_at, needs_verification, late, posting_status)
        select 'P' || lpad(n::text, 8, '0'), 1, 'PROCESSING', 'VNPAY_QR', 50000 + n % 900, 'VND',
               'K' || n % 5000, 'Nguyen Van ' || n, 'nguyen van ' || n, 'S' || n % 40, 'T' || n % 4,
               '2026-03-04', 'R' || n, '{{}}', timestamptz '2026-01-01' + n * interval '1 minute',
               timestamptz '2026-01-01' + n * interval '1 minute', false, false, 'NONE'
          from generate_series(1, {PAYMENT_COUNT}) n;
        insert into payment_item (payment, contract_number, type, item_id, amount, locked)
        select 'P' || lpad(n::text, 8, '0'), 'K' || n % 5000, 'BILL', 'B' || n, 50000, true
          from generate_series(1, {PAYMENT_COUNT}) n;
        insert into attempt (reference, payment, gateway, status, amount, currency, created_at,
            expires_at, gateway_id, inquiries)
        select 'A' || n, 'P' || lpad(n::text, 8, '0'), 'VNPAY', 'ACCEPTED', 50000, 'VND', now(),
               now(), 'G' || n, 0
          from generate_series(1, {PAYMENT_COUNT}) n;
        """
    )
    await owner.execute("vacuum analyze")  # it also merges the pending names into their index
    await owner.close()
    return module_database


MIDDLE = ((NOW - timedelta(days=55)), "P00005000")


FIRST = PageRange(size=51)
NEXT = PageRange(size=51, after=MIDDLE)
PREVIOUS = PageRange(size=51, before=MIDDLE, backward=True)


def page_of(
    scope: Scope = EVERYONE,
    page: PageRange = FIRST,
    *,
    order: PaymentOrder = NEWEST,
    **parts: Any,
):
    return payments.page(scope, PaymentFilter(**parts), page, order=order)


STATEMENTS: dict[str, Any] = {
    "all, newest first": page_of,
    "all, the next page": lambda: page_of(page=NEXT),
    "all, the previous page": lambda: page_of(page=PREVIOUS),
    "all, oldest first": lambda: page_of(page=NEXT, order=PaymentOrder.CREATED_ASC),
    "by amount": lambda: page_of(
        page=replace(NEXT, after=(50_500, *MIDDLE)), order=PaymentOrder.AMOUNT_DESC
    ),
    "a collector's own": lambda: page_of(Scope(staff_id="S7")),
    "a team's, the next page": lambda: page_of(Scope(team="T3"), NEXT),
    "a team's, the previous page": lambda: page_of(Scope(team="T3"), PREVIOUS),
    "of a collector": lambda: page_of(staff_id="S7"),
    "of a contract": lambda: page_of(contract_number="K77"),
    "of a period": lambda: page_of(created_from=NOW - timedelta(days=50), created_to=NOW),
    "by our reference": lambda: page_of(gateway_reference="A777"),
    "by the gateway's reference": lambda: page_of(gateway_reference="G777"),
    "found by a name": lambda: page_of(search="Nguyễn Văn 777"),
    "found by a frequent name": lambda: page_of(search="Nguyễn Văn"),
    "found by our reference": lambda: page_of(search="A777"),
    "found by the gateway's reference": lambda: page_of(search="G777"),
    "found by contract": lambda: page_of(search="k777"),
    "found by id": lambda: page_of(search="P00000777"),
    "a payment by id": lambda: payments.by_id("P00000777"),
    "a payment by receipt": lambda: payments.by_receipt("R777"),
    "payments by ids": lambda: payments.by_ids(["P00000777", "P00000778"]),
    "versions": lambda: payments.versions(["P00000777", "P00000778"]),
    "changed since": lambda: payments.changed_since(NOW - timedelta(days=49), most=100),
}  # fmt: skip


@pytest.fixture
def plan_lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of the plans of the statements that the test sends."""
    lines: list[str] = []
    fetch = engine.fetch

    async def explain(sql: str, *args: object) -> Any:
        for row in await fetch(f"explain {sql}", *args):
            lines.extend(row.values())
        return await fetch(sql, *args)

    monkeypatch.setattr(payments, "fetch", explain)
    monkeypatch.setattr(payments, "fetchrow", lambda sql, *args: _first(explain(sql, *args)))
    return lines


@pytest.mark.usefixtures("many_payments")
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=list(STATEMENTS))
async def test_a_frequent_statement_uses_an_index(statement: Any, plan_lines: list[str]) -> None:
    assert await statement()
    plan = "\n".join(plan_lines)
    assert "Seq Scan on payment" not in plan, plan
    assert "Seq Scan on attempt" not in plan, plan


@pytest.mark.usefixtures("many_payments")
@pytest.mark.parametrize("scope", [EVERYONE, Scope(team="T1")], ids=["everyone", "a team"])
async def test_a_name_is_searched_by_its_index(scope: Scope, plan_lines: list[str]) -> None:
    (found,) = await page_of(scope, search="nguyễn văn 19777")
    assert found.customer_name == "Nguyen Van 19777"
    totals = await payments.totals(scope, PaymentFilter(search="NGUYEN VAN 19777"))
    assert totals.count == 1
    plan = "\n".join(plan_lines)
    assert plan.count("Bitmap Index Scan on payment_by_customer_name") == 2, plan


async def _first(fetching: Any) -> Any:
    rows = await fetching
    return rows[0] if rows else None


@pytest.mark.usefixtures("many_payments")
@pytest.mark.parametrize("size", [1, 50, 100])
async def test_a_page_is_one_statement_however_long_it_is(size: int) -> None:
    await page_of()  # prepares the statement
    with statements() as sent:
        found = await payments.page(Scope(team="T3"), ALL, PageRange(size=size), order=NEWEST)
    assert len(found) == size
    assert all(payment.attempt and len(payment.items) == 1 for payment in found)
    assert len(sent) == 1, sent.seen
