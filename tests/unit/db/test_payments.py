"""Payments read in pages: none skipped or repeated."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Any

import pytest

from db import engine, payments
from domain.attempts import AttemptStatus
from domain.methods import PaymentMethod
from domain.pages import PageRange
from domain.payment_search import PaymentFilter, PaymentOrder, Totals
from domain.payments import Payment, PaymentStatus
from domain.staff import Scope
from tests.support.builders import NOW
from tests.support.database import add_collector, add_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

EVERYONE = Scope()
ALL = PaymentFilter()
NEWEST = PaymentOrder.CREATED_DESC
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
        Scope(staff_id=collector.staff_id), ALL, PageRange(size=size, after=after), order=order
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


@pytest.mark.parametrize("order", PaymentOrder)
@pytest.mark.parametrize("size", [1, 3, 7])
async def test_pages_read_backwards_are_the_same_list(order: PaymentOrder, size: int) -> None:
    collector = await add_collector()
    scope = Scope(staff_id=collector.staff_id)
    for n in range(20):
        await add_payment(
            collector=collector,
            amount=100_000 + n % 3,
            created_at=NOW + timedelta(seconds=n % 2),
            items=(),
        )
    whole = await payments.page(scope, ALL, PageRange(size=50), order=order)
    paged: list[Payment] = []
    before = None
    while page := await payments.page(
        scope, ALL, PageRange(size=size, before=before, backward=True), order=order
    ):
        paged = page + paged
        before = payments.key(page[0], order)
    assert paged == whole
    keys = [payments.key(payment, order) for payment in whole]
    between = PageRange(size=50, after=keys[4], before=keys[9])
    assert await payments.page(scope, ALL, between, order=order) == whole[5:9]


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
    found = await payments.page(Scope(team=team), filter, PageRange(size=50), order=NEWEST)
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
            Scope(team=team), PaymentFilter(search=search), PageRange(size=5), order=NEWEST
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
            EVERYONE, PaymentFilter(search=name), PageRange(size=5), order=NEWEST
        )
        assert [found_payment.id for found_payment in found] == [payment.id]
        assert PaymentFilter(search=name).matches(found[0])
    for name in (payment.attempt.reference, number):
        (found_payment,) = await payments.page(
            EVERYONE, PaymentFilter(gateway_reference=name), PageRange(size=5), order=NEWEST
        )
        assert found_payment.id == payment.id
