"""Payments read in pages: none skipped or repeated, by an index, in one statement."""

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
from tests.support.database import add_collector, add_payment, unique
from tests.support.running_api import statements

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

EVERYONE = Scope()
ALL = PaymentFilter()
NEWEST = PaymentOrder.CREATED_DESC
PAYMENT_COUNT = 20_000
TRAN = unicodedata.normalize("NFD", "Trần Thị B")


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", PaymentOrder)
@pytest.mark.parametrize("size", [1, 3, 7])
async def test_pages_neither_skip_nor_repeat_among_equal_amounts_and_moments(
    order: PaymentOrder, size: int
) -> None:
    collector = await add_collector()
    added = [
        await add_payment(
            collector=collector,
            amount=100_000 + n % 3,
            created_at=NOW + timedelta(seconds=n % 2),
            items=(),
        )
        for n in range(20)
    ]
    paged: list[str] = []
    after = None
    while page := await payments.page(
        Scope(staff_id=collector.staff_id), ALL, order=order, after=after, most=size
    ):
        paged += [payment.id for payment in page]
        after = payments.key(page[-1], order)
        # A payment that is added before the cursor changes no later page.
        await add_payment(
            collector=collector,
            amount=1 if order.value.endswith("ASC") else 900_000,
            created_at=NOW + timedelta(days=-1 if order.value.endswith("ASC") else 1),
            items=(),
        )
    descending = order.value.endswith("DESC")
    expected = sorted(added, key=lambda payment: payments.key(payment, order), reverse=descending)
    assert paged == [payment.id for payment in expected]


async def test_a_payment_is_read_as_it_was_added() -> None:
    payment = await add_payment(PaymentStatus.PROCESSING, needs_verification=True)
    assert payment.attempt is not None
    found = await payments.by_id(payment.id)
    assert found == payment
    assert await payments.by_receipt(payment.receipt_token) == payment
    assert await payments.by_ids([payment.id, "TXN_UNKNOWN"]) == [payment]
    assert await payments.by_id("TXN_UNKNOWN") is None
    assert await payments.versions([payment.id]) == {payment.id: payment.version}


async def test_a_payment_has_the_latest_of_its_attempts() -> None:
    payment = await add_payment(attempt=AttemptStatus.DECLINED)
    await engine.execute(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) values ($1, $2, 'VNPAY', 'SENT', 200000, 'VND', $3, $3, 0)",
        reference := unique("MB"),
        payment.id,
        NOW + timedelta(minutes=1),
    )
    found = await payments.by_id(payment.id)
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
async def test_the_database_and_the_live_feed_apply_a_filter_alike(
    parts: dict[str, Any],
) -> None:
    team = unique("T")
    added = [
        await add_payment(
            (PaymentStatus.PROCESSING, PaymentStatus.FAILED, PaymentStatus.SUCCESS)[n % 3],
            method=PaymentMethod.CASH if n % 2 else PaymentMethod.VNPAY_QR,
            collector=await add_collector("NV002" if n == 4 else None, team=team),
            contract_number=f"C-{n}",
            customer_name=("Nguyen Van A", TRAN, "100%_sure \\ Đặng")[n % 3],
            amount=100_000 * (n + 1),
            created_at=NOW + timedelta(minutes=n),
            needs_verification=n == 3,
            items=(),
        )
        for n in range(6)
    ]
    filter = PaymentFilter(**parts)
    found = await payments.page(Scope(team=team), filter, order=NEWEST, after=None, most=50)
    assert {payment.id for payment in found} == {
        payment.id for payment in added if filter.matches(payment)
    }
    totals = await payments.totals(Scope(team=team), filter)
    assert totals == Totals(count=len(found), amount=sum(payment.amount for payment in found))


@pytest.mark.parametrize(
    "name", ["Phan Huu Khoa", "Phan Hữu Khoa", "PHAN HƯ\u0303U  KHOA"], ids=ascii
)
async def test_a_payment_is_found_by_every_spelling_of_its_customers_name(name: str) -> None:
    team = unique("T")
    payment = await add_payment(
        collector=await add_collector(team=team), customer_name=name, items=()
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


async def test_a_payment_is_found_by_each_of_its_numbers() -> None:
    payment = await add_payment()
    assert payment.attempt is not None
    await engine.execute(
        "update attempt set gateway_id = $2 where reference = $1",
        payment.attempt.reference,
        number := unique("GW"),
    )
    for name in (payment.id, payment.contract_number, payment.attempt.reference, number):
        found = await payments.page(
            EVERYONE, PaymentFilter(search=name), order=NEWEST, after=None, most=5
        )
        assert [found_payment.id for found_payment in found] == [payment.id]
        assert PaymentFilter(search=name).matches(found[0])
    for name in (payment.attempt.reference, number):
        (found_payment,) = await payments.page(
            EVERYONE, PaymentFilter(gateway_reference=name), order=NEWEST, after=None, most=5
        )
        assert found_payment.id == payment.id


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


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


def page_of(
    scope: Scope = EVERYONE, *, order: PaymentOrder = NEWEST, after: Any = None, **parts: Any
):
    return payments.page(scope, PaymentFilter(**parts), order=order, after=after, most=51)


STATEMENTS: dict[str, Any] = {
    "all, newest first": page_of,
    "all, the next page": lambda: page_of(after=MIDDLE),
    "all, oldest first": lambda: page_of(order=PaymentOrder.CREATED_ASC, after=MIDDLE),
    "by amount": lambda: page_of(order=PaymentOrder.AMOUNT_DESC, after=(50_500, *MIDDLE)),
    "a collector's own": lambda: page_of(Scope(staff_id="S7")),
    "a team's, the next page": lambda: page_of(Scope(team="T3"), after=MIDDLE),
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


# ── statements ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("many_payments")
@pytest.mark.parametrize("size", [1, 50, 100])
async def test_a_page_is_one_statement_however_long_it_is(size: int) -> None:
    await page_of()  # prepares the statement
    with statements() as sent:
        found = await payments.page(Scope(team="T3"), ALL, order=NEWEST, after=None, most=size)
    assert len(found) == size
    assert all(payment.attempt and len(payment.items) == 1 for payment in found)
    assert len(sent) == 1, sent.seen
