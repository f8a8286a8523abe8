"""Pages of payments: neither skipped nor repeated, cut by an index, read in one statement."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from db import engine, payments
from domain.attempts import AttemptStatus
from domain.methods import PaymentMethod
from domain.payment_search import PaymentFilter, PaymentOrder, Totals
from domain.payments import PaymentStatus
from domain.staff import Scope
from tests.support.builders import NOW
from tests.support.database import a_collector, a_kept_payment, unique
from tests.support.running_api import statements

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

EVERYONE = Scope()
ALL = PaymentFilter()
NEWEST = PaymentOrder.CREATED_DESC
SEEDED = 20_000
TRAN = unicodedata.normalize("NFD", "Trần Thị B")


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", PaymentOrder)
@pytest.mark.parametrize("size", [1, 3, 7])
async def test_pages_neither_skip_nor_repeat_among_equal_amounts_and_moments(
    order: PaymentOrder, size: int
) -> None:
    by = await a_collector()
    kept = [
        await a_kept_payment(
            collector=by,
            amount=100_000 + n % 3,
            created_at=NOW + timedelta(seconds=n % 2),
            items=(),
        )
        for n in range(20)
    ]
    seen: list[str] = []
    after = None
    while page := await payments.page(
        Scope(staff_id=by.staff_id), ALL, order=order, after=after, most=size
    ):
        seen += [item.id for item in page]
        after = payments.key(page[-1], order)
        # What arrives meanwhile before the cursor disturbs nothing.
        await a_kept_payment(
            collector=by,
            amount=1 if order.value.endswith("ASC") else 900_000,
            created_at=NOW + timedelta(days=-1 if order.value.endswith("ASC") else 1),
            items=(),
        )
    descending = order.value.endswith("DESC")
    expected = sorted(kept, key=lambda item: payments.key(item, order), reverse=descending)
    assert seen == [item.id for item in expected]


async def test_a_payment_comes_back_as_it_was_kept() -> None:
    kept = await a_kept_payment(PaymentStatus.PROCESSING, needs_verification=True)
    assert kept.attempt is not None
    found = await payments.by_id(kept.id)
    assert found == kept
    assert await payments.by_receipt(kept.receipt_token) == kept
    assert await payments.by_ids([kept.id, "TXN_UNKNOWN"]) == [kept]
    assert await payments.by_id("TXN_UNKNOWN") is None
    assert await payments.versions([kept.id]) == {kept.id: kept.version}


async def test_the_latest_of_several_conversations_is_the_payments() -> None:
    kept = await a_kept_payment(attempt=AttemptStatus.DECLINED)
    await engine.execute(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) values ($1, $2, 'VNPAY', 'SENT', 200000, 'VND', $3, $3, 0)",
        reference := unique("MB"),
        kept.id,
        NOW + timedelta(minutes=1),
    )
    found = await payments.by_id(kept.id)
    assert found is not None
    assert found.gateway_reference == reference


FILTERS: list[dict[str, Any]] = [
    {"status": [PaymentStatus.FAILED, PaymentStatus.PROCESSING]},
    {"status": []},
    {"method": [PaymentMethod.CASH]},
    {"staff_id": "NV002"},
    {"contract_number": "C-1"},
    {"created_from": NOW, "created_to": NOW + timedelta(minutes=2)},
    {"min_amount": 200_001, "max_amount": 400_000},
    {"needs_verification": True},
    {"search": "c-1"},
    {"search": "C-1"},
    {"search": "nguyen"},
    {"search": "%"},
    {"search": "n_uyen"},
    {"search": "\\"},
    {"search": "ĐẶNG"},
    {"search": "dang"},
    {"search": " nguyễn  van"},
    {"search": "Nguye\u0302\u0303n"},
    {"search": "TRAN THI"},
    {"search": ""},
    {"search": " "},
    {"search": "100%_"},
]


@pytest.mark.parametrize("parts", FILTERS, ids=repr)
async def test_the_database_and_the_live_feed_mean_the_same_by_a_filter(
    parts: dict[str, Any],
) -> None:
    team = unique("T")
    kept = [
        await a_kept_payment(
            (PaymentStatus.PROCESSING, PaymentStatus.FAILED, PaymentStatus.SUCCESS)[n % 3],
            method=PaymentMethod.CASH if n % 2 else PaymentMethod.VNPAY_QR,
            collector=await a_collector("NV002" if n == 4 else None, team=team),
            contract_number=f"C-{n}",
            customer_name=("Nguyen Van A", TRAN, "100%_sure \\ Đặng")[n % 3],
            amount=100_000 * (n + 1),
            created_at=NOW + timedelta(minutes=n),
            needs_verification=n == 3,
            items=(),
        )
        for n in range(6)
    ]
    wanted = PaymentFilter(**parts)
    found = await payments.page(Scope(team=team), wanted, order=NEWEST, after=None, most=50)
    assert {item.id for item in found} == {item.id for item in kept if wanted.holds(item)}
    totals = await payments.totals(Scope(team=team), wanted)
    assert totals == Totals(count=len(found), amount=sum(item.amount for item in found))


@pytest.mark.parametrize("name", ["Phan Huu Khoa", "Phan Hữu Khoa", "PHAN HƯ\u0303U  KHOA"], ids=ascii)  # fmt: skip
async def test_a_payment_is_found_by_every_spelling_of_its_customers_name(name: str) -> None:
    team = unique("T")
    payment = await a_kept_payment(
        collector=await a_collector(team=team), customer_name=name, items=()
    )
    for search in (
        "Phan Hữu Khoa",
        "Phan Huu Khoa",
        "phan hu\u031b\u0303u khoa",
        "huu",
        " HỮU KHOA",
    ):
        found = await payments.page(
            Scope(team=team), PaymentFilter(search=search), order=NEWEST, after=None, most=5
        )
        assert [found_payment.id for found_payment in found] == [payment.id], search
        assert found[0].customer_name == name


async def test_a_payment_is_found_by_what_it_is_called_anywhere() -> None:
    kept = await a_kept_payment()
    assert kept.attempt is not None
    await engine.execute(
        "update attempt set gateway_id = $2 where reference = $1",
        kept.attempt.reference,
        number := unique("GW"),
    )
    for named in (kept.id, kept.contract_number, kept.attempt.reference, number):
        found = await payments.page(
            EVERYONE, PaymentFilter(search=named), order=NEWEST, after=None, most=5
        )
        assert [item.id for item in found] == [kept.id]
        assert PaymentFilter(search=named).holds(found[0])
    for named in (kept.attempt.reference, number):
        (found_one,) = await payments.page(
            EVERYONE, PaymentFilter(gateway_reference=named), order=NEWEST, after=None, most=5
        )
        assert found_one.id == kept.id


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
async def many(kept: str) -> str:
    """20,000 payments of 40 collectors in 4 teams, with items and attempts; statistics are fresh."""
    owner = await asyncpg.connect(kept)
    await owner.execute(
        f"""
        insert into staff (staff_id, name, role, team, permissions, seen_at)
        select 'S' || n, 'Somebody', 'TIN_PNC', 'T' || n % 4, '[]', now()
          from generate_series(0, 39) n;
        insert into payment (id, version, status, method, amount, currency, contract_number,
            customer_name, customer_name_folded, staff, team, business_date, receipt_token, notify,
            created_at, updated_at, needs_verification, late, posting_status)
        select 'P' || lpad(n::text, 8, '0'), 1, 'PROCESSING', 'VNPAY_QR', 50000 + n % 900, 'VND',
               'K' || n % 5000, 'Nguyen Van ' || n, 'nguyen van ' || n, 'S' || n % 40, 'T' || n % 4, '2026-03-04',
               'R' || n, '{{}}', timestamptz '2026-01-01' + n * interval '1 minute',
               timestamptz '2026-01-01' + n * interval '1 minute', false, false, 'NONE'
          from generate_series(1, {SEEDED}) n;
        insert into payment_item (payment, contract_number, type, item_id, amount, locked)
        select 'P' || lpad(n::text, 8, '0'), 'K' || n % 5000, 'BILL', 'B' || n, 50000, true
          from generate_series(1, {SEEDED}) n;
        insert into attempt (reference, payment, gateway, status, amount, currency, created_at,
            expires_at, gateway_id, inquiries)
        select 'A' || n, 'P' || lpad(n::text, 8, '0'), 'VNPAY', 'ACCEPTED', 50000, 'VND', now(),
               now(), 'G' || n, 0
          from generate_series(1, {SEEDED}) n;
        """
    )
    await owner.execute("vacuum analyze")  # it also takes new names into their index
    await owner.close()
    return kept


MIDDLE = ((NOW - timedelta(days=55)), "P00005000")


def hot(scope: Scope = EVERYONE, *, order: PaymentOrder = NEWEST, after: Any = None, **parts: Any):
    return payments.page(scope, PaymentFilter(**parts), order=order, after=after, most=51)


HOT: dict[str, Any] = {
    "everyone's, newest first": hot,
    "everyone's, the next page": lambda: hot(after=MIDDLE),
    "everyone's, oldest first": lambda: hot(order=PaymentOrder.CREATED_ASC, after=MIDDLE),
    "by amount": lambda: hot(order=PaymentOrder.AMOUNT_DESC, after=(50_500, *MIDDLE)),
    "a collector's own": lambda: hot(Scope(staff_id="S7")),
    "a team's, the next page": lambda: hot(Scope(team="T3"), after=MIDDLE),
    "of a collector": lambda: hot(staff_id="S7"),
    "of a contract": lambda: hot(contract_number="K77"),
    "of a time": lambda: hot(created_from=NOW - timedelta(days=50), created_to=NOW),
    "by our reference": lambda: hot(gateway_reference="A777"),
    "by their reference": lambda: hot(gateway_reference="G777"),
    "found by a name": lambda: hot(search="Nguyễn Văn 777"),
    "found by a frequent name": lambda: hot(search="Nguyễn Văn"),
    "found by our reference": lambda: hot(search="A777"),
    "found by their reference": lambda: hot(search="G777"),
    "found by contract": lambda: hot(search="k777"),
    "found by id": lambda: hot(search="P00000777"),
    "one by id": lambda: payments.by_id("P00000777"),
    "one by receipt": lambda: payments.by_receipt("R777"),
    "watched ones": lambda: payments.by_ids(["P00000777", "P00000778"]),
    "versions": lambda: payments.versions(["P00000777", "P00000778"]),
    "changed since": lambda: payments.changed_since(NOW - timedelta(days=49), most=100),
}  # fmt: skip


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plan of each statement about payments that the test sends, line by line."""
    lines: list[str] = []
    fetch = engine.fetch

    async def explain(sql: str, *args: object) -> Any:
        for row in await fetch(f"explain {sql}", *args):
            lines.extend(row.values())
        return await fetch(sql, *args)

    monkeypatch.setattr(payments, "fetch", explain)
    monkeypatch.setattr(payments, "fetchrow", lambda sql, *args: _first(explain(sql, *args)))
    return lines


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("statement", HOT.values(), ids=HOT)
async def test_a_hot_statement_uses_an_index(statement: Any, explained: list[str]) -> None:
    assert await statement()
    plan = "\n".join(explained)
    assert "Seq Scan on payment" not in plan, plan
    assert "Seq Scan on attempt" not in plan, plan


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("scope", [EVERYONE, Scope(team="T1")], ids=["everyone", "a team"])
async def test_a_name_is_searched_in_its_index(scope: Scope, explained: list[str]) -> None:
    (found,) = await hot(scope, search="nguyễn văn 19777")
    assert found.customer_name == "Nguyen Van 19777"
    totals = await payments.totals(scope, PaymentFilter(search="NGUYEN VAN 19777"))
    assert totals.count == 1
    plan = "\n".join(explained)
    assert plan.count("Bitmap Index Scan on payment_by_customer_name") == 2, plan


async def _first(rows: Any) -> Any:
    found = await rows
    return found[0] if found else None


# ── statements ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("size", [1, 50, 100])
async def test_a_page_is_one_statement_however_long_it_is(size: int) -> None:
    await hot()  # prepares it
    with statements() as sent:
        found = await payments.page(Scope(team="T3"), ALL, order=NEWEST, after=None, most=size)
    assert len(found) == size
    assert all(item.attempt and len(item.items) == 1 for item in found)
    assert len(sent) == 1, sent.seen
