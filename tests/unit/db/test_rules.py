"""The database's own rules: permanent outcomes, posted money, rows that never change."""

from __future__ import annotations

from itertools import product

import asyncpg
import pytest

from db import engine, ledger, payments
from db.transaction import transaction
from domain.ledger import Account, Posting, collected
from domain.money import Money
from domain.payments import TRANSITIONS, Payment, PaymentStatus
from tests.support.builders import NOW
from tests.support.database import add_payment, save_payment

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

SUCCESS = PaymentStatus.SUCCESS
ENDED_STATUSES = [PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED]


async def can_move(payment: Payment, to: PaymentStatus, *, late: bool = False) -> bool:
    """Return whether the move can be written, with its postings where it is a success."""
    try:
        async with transaction():
            if to is SUCCESS and payment.status is not SUCCESS:
                await ledger.post_and_audit(
                    "SUCCESS", collected(payment, payment.money), NOW, payment_id=payment.id
                )
            await engine.execute(
                "update payment set status = $2, late = $3, version = version + 1 where id = $1",
                payment.id,
                to,
                late,
            )
    except asyncpg.RaiseError:
        return False
    return True


@pytest.mark.parametrize(
    ("start", "end"), [pair for pair in product(PaymentStatus, repeat=2) if pair[0] is not pair[1]]
)
@pytest.mark.invariant(2)
async def test_the_database_allows_the_domains_moves_and_refuses_to_leave_a_final_status(
    start: PaymentStatus, end: PaymentStatus
) -> None:
    payment = await add_payment(start)
    allowed = await can_move(payment, end)
    if end in TRANSITIONS[start]:
        assert allowed
    elif payment.is_final or (start, end) == (PaymentStatus.PROCESSING, PaymentStatus.PENDING):
        assert not allowed


@pytest.mark.parametrize("start", ENDED_STATUSES)
@pytest.mark.invariant(2)
async def test_a_final_status_is_left_only_by_late_success(start: PaymentStatus) -> None:
    assert await can_move(await add_payment(start), SUCCESS, late=True)
    assert not await can_move(await add_payment(start), SUCCESS)
    assert not await can_move(await add_payment(start), PaymentStatus.PROCESSING, late=True)


@pytest.mark.parametrize("end", [status for status in PaymentStatus if status is not SUCCESS])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.invariant(2)
async def test_success_is_never_left_even_by_the_owner(
    end: PaymentStatus, late: bool, owner: asyncpg.Connection
) -> None:
    payment = await add_payment(SUCCESS)
    with pytest.raises(asyncpg.RaiseError, match="SUCCESS is never left"):
        await owner.execute(
            "update payment set status = $2, late = $3, version = version + 1 where id = $1",
            payment.id,
            end,
            late,
        )


@pytest.mark.parametrize(
    "change",
    [
        "id = id || 'X'",
        "amount = amount + 1",
        "currency = 'USD'",
        "contract_number = 'C2'",
        "method = 'CASH'",
        "staff = (select staff_id from staff where staff_id <> payment.staff limit 1)",
        "business_date = business_date + 1",
        "created_at = created_at + interval '1 second'",
    ],
)
@pytest.mark.invariant(1)
async def test_what_a_payment_is_for_never_changes(change: str, owner: asyncpg.Connection) -> None:
    await add_payment()
    payment = await add_payment()
    with pytest.raises(asyncpg.RaiseError, match="what was asked for never changes"):
        await owner.execute(
            f"update payment set {change}, version = version + 1 where id = $1", payment.id
        )


@pytest.mark.invariant(1)
async def test_a_version_only_grows() -> None:
    payment = await add_payment()
    with pytest.raises(asyncpg.RaiseError, match="its version only grows"):
        await engine.execute("update payment set version = version - 1 where id = $1", payment.id)
    with pytest.raises(asyncpg.RaiseError, match="its version only grows"):
        await engine.execute("update payment set status = 'FAILED' where id = $1", payment.id)


@pytest.mark.invariant(3)
async def test_a_success_without_its_postings_is_refused_when_it_is_committed() -> None:
    payment = await add_payment()
    with pytest.raises(asyncpg.RaiseError, match="posted to the ledger, once and whole"):
        await save_payment(payment, status=SUCCESS)
    stored = await payments.by_id(payment.id)
    assert stored is not None
    assert stored.status is PaymentStatus.PROCESSING


@pytest.mark.parametrize(
    ("posted", "credit"),
    [
        (199_999, Account.CUSTOMER_RECEIVABLE),
        (200_001, Account.CUSTOMER_RECEIVABLE),
        (200_000, Account.SUSPENSE),
    ],
)
@pytest.mark.invariant(3)
async def test_the_postings_of_a_success_are_exactly_its_amount(
    posted: int, credit: Account
) -> None:
    payment = await add_payment()
    posting = Posting(
        debit=Account.VNPAY_CLEARING, credit=credit, money=Money(posted), staff_id=payment.staff_id
    )

    async def succeed() -> None:
        async with transaction():
            await ledger.post_and_audit("SUCCESS", [posting], NOW, payment_id=payment.id)
            await engine.execute(
                "update payment set status = 'SUCCESS', version = version + 1 where id = $1",
                payment.id,
            )

    with pytest.raises(asyncpg.RaiseError, match="posted to the ledger"):
        await succeed()


@pytest.mark.parametrize(
    "change",
    [
        "payment = (select id from payment where id <> payment_item.payment limit 1)",
        "type = 'FEE'",
        "item_id = 'ANOTHER'",
        "amount = amount + 1",
        "contract_number = 'C2'",
    ],
)
@pytest.mark.invariant(5)
async def test_only_the_lock_of_an_item_changes(change: str, owner: asyncpg.Connection) -> None:
    await add_payment()
    payment = await add_payment()
    with pytest.raises(asyncpg.RaiseError, match="only its lock changes"):
        await owner.execute(f"update payment_item set {change} where payment = $1", payment.id)


NEVER_CHANGED = {
    "posting": "amount = amount + 1",
    "entry": "event = 'x'",
    "audit_event": "actor = 'x'",
}
NEVER_DELETED = ["payment", "payment_item", "attempt", *NEVER_CHANGED]


@pytest.mark.parametrize("table", NEVER_CHANGED)
@pytest.mark.invariant(16, 26)
async def test_rows_are_not_changed_even_by_the_owner(
    table: str, owner: asyncpg.Connection
) -> None:
    with pytest.raises(asyncpg.RaiseError, match="never changed or deleted"):
        await owner.execute(f"update {table} set {NEVER_CHANGED[table]}")


@pytest.mark.parametrize("table", NEVER_DELETED)
@pytest.mark.parametrize("how", ["delete from {}", "truncate {} cascade"])
@pytest.mark.invariant(9)
async def test_rows_are_not_deleted_even_by_the_owner(
    table: str, how: str, owner: asyncpg.Connection
) -> None:
    with pytest.raises(asyncpg.RaiseError, match="never changed or deleted"):
        await owner.execute(how.format(table))


APPENDED = [*NEVER_CHANGED]
DELETABLE = {"idempotency_key", "session"}


@pytest.mark.invariant(32)
async def test_the_application_lacks_the_privilege_to_change_what_must_not_change(
    owner: asyncpg.Connection,
) -> None:
    rows = await owner.fetch(
        "select c.relname as table, r.privilege from pg_class c,"
        " unnest(array['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) as r (privilege)"
        " where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace"
        " and c.relname not like 'pgqueuer%'"
        " and has_table_privilege('mobinet_app', c.oid, r.privilege)"
    )
    granted = {(row["table"], row["privilege"]) for row in rows}
    assert {table for table, privilege in granted if privilege == "DELETE"} == DELETABLE
    assert not [table for table, privilege in granted if privilege in {"TRUNCATE", "TRIGGER"}]
    assert not {table for table, privilege in granted if privilege == "UPDATE"} & {
        *APPENDED,
        "migration",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "update posting set amount = 1",
        "delete from payment",
        "truncate audit_event",
        "alter table payment disable trigger all",
        "drop trigger payment_is_protected on payment",
        "create table mine (id int)",
        "insert into migration (name) values ('x')",
        "set session_replication_role = replica",
    ],
)
async def test_the_application_is_refused_such_statements(statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await engine.execute(statement)


@pytest.mark.invariant(7)
async def test_a_payment_is_for_a_contract_or_an_order() -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="payment_is_for_one_thing"):
        await add_payment(contract_number=None, items=())
