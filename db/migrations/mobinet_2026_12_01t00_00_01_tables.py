"""
The tables of a new database, as db/tables/ declared them when this step was written.

It is never edited: what changes later is a migration of its own.
"""

from __future__ import annotations

import asyncpg
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns import (
    JSONB,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    Date,
    ForeignKey,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from db.migrate import MigrationFailed
from db.transaction import connection

ID = "2026-12-01T00:00:01:tables"
VERSION = "1.38.0"
DESCRIPTION = "the tables"


def refers_to(table: type[Table], *, null: bool = False) -> ForeignKey[Table]:
    """Return a foreign key that forbids deleting or renaming the row it names."""
    return ForeignKey(
        table, null=null, default=None, on_delete=OnDelete.restrict, on_update=OnUpdate.restrict
    )


class StaffRow(Table, tablename="staff"):
    staff_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    team = Varchar(length=64, default=None, null=True)
    permissions = JSONB(default=None)
    seen_at = Timestamptz(default=None)


class SessionRow(Table, tablename="session"):
    id = Varchar(length=40, primary_key=True, default=None)
    staff = refers_to(StaffRow)
    refresh_hash = Bytea(default=None, unique=True)
    wallet_token = Bytea(default=None, null=True)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    ended_at = Timestamptz(default=None, null=True)


class ApiClientRow(Table, tablename="api_client"):
    client_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    secret_hash = Bytea(default=None)
    created_at = Timestamptz(default=None)


class OrderRow(Table, tablename="merchant_order"):
    id = Varchar(length=40, primary_key=True, default=None)
    merchant = refers_to(StaffRow)
    reference = Varchar(length=64, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    description = Varchar(length=200, default=None)
    status = Varchar(length=10, default=None)
    created_at = Timestamptz(default=None)
    paid_at = Timestamptz(default=None, null=True)
    one_order_a_reference = Unique(["merchant", "reference"])
    order_amount_is_positive = Check("amount > 0")


class HandInRow(Table, tablename="hand_in"):
    id = Varchar(length=40, primary_key=True, default=None)
    staff = refers_to(StaffRow)
    team = Varchar(length=64, default=None, null=True)
    status = Varchar(length=20, default=None)
    expected = BigInt(default=None)
    declared = BigInt(default=None)
    counted = BigInt(default=None, null=True)
    note = Text(default=None, null=True)
    business_date = Date(default=None)
    submitted_at = Timestamptz(default=None)
    confirmed_at = Timestamptz(default=None, null=True)
    confirmed_by = Varchar(length=64, default=None, null=True)
    amounts_are_not_negative = Check("expected > 0 and declared >= 0 and counted >= 0")


class PaymentRow(Table, tablename="payment"):
    id = Varchar(length=40, primary_key=True, default=None)
    version = Integer(default=None)
    status = Varchar(length=20, default=None)
    method = Varchar(length=20, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    contract_number = Varchar(length=40, default=None, null=True)
    merchant_order = refers_to(OrderRow, null=True)
    customer_name = Varchar(length=200, default=None)
    customer_name_folded = Text(default=None)
    staff = refers_to(StaffRow)
    team = Varchar(length=64, default=None, null=True)
    business_date = Date(default=None)
    receipt_token = Varchar(length=40, default=None, unique=True)
    return_url = Text(default=None, null=True)
    notify = JSONB(default=None)
    created_at = Timestamptz(default=None)
    updated_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None, null=True)
    completed_at = Timestamptz(default=None, null=True)
    custody = Varchar(length=20, default=None, null=True)
    hold_reason = Varchar(length=20, default=None, null=True)
    needs_verification = Boolean(default=None)
    late = Boolean(default=None)
    posting_status = Varchar(length=10, default=None)
    hand_in = refers_to(HandInRow, null=True)
    amount_is_positive = Check("amount > 0")


class PaymentItemRow(Table, tablename="payment_item"):
    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    contract_number = Varchar(length=40, default=None)
    type = Varchar(length=10, default=None)
    item_id = Varchar(length=64, default=None)
    amount = BigInt(default=None)
    locked = Boolean(default=None)
    item_amount_is_positive = Check("amount > 0")
    an_item_once_a_payment = Unique(["payment", "type", "item_id"])


class AttemptRow(Table, tablename="attempt"):
    reference = Varchar(length=40, primary_key=True, default=None)
    payment = refers_to(PaymentRow)
    gateway = Varchar(length=20, default=None)
    status = Varchar(length=20, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    sent_at = Timestamptz(default=None, null=True)
    answered_at = Timestamptz(default=None, null=True)
    gateway_id = Varchar(length=128, default=None, null=True)
    payment_url = Text(default=None, null=True)
    qr_payload = Text(default=None, null=True)
    failure_code = Varchar(length=64, default=None, null=True)
    failure_message = Text(default=None, null=True)
    inquiries = Integer(default=0)
    inquired_at = Timestamptz(default=None, null=True)
    last_result = Varchar(length=20, default=None, null=True)
    paid_under = Array(base_column=Text(), default=list)
    claimed_at = Timestamptz(default=None, null=True)
    attempt_amount_is_positive = Check("amount > 0")


class IdempotencyKeyRow(Table, tablename="idempotency_key"):
    id = BigSerial(primary_key=True)
    actor_id = Varchar(length=64, default=None)
    operation = Varchar(length=40, default=None)
    key = Varchar(length=128, default=None)
    fingerprint = Bytea(default=None)
    subject_id = Varchar(length=40, default=None)
    process = Integer(default=None)
    created_at = Timestamptz(default=None)
    answered_at = Timestamptz(default=None, null=True)
    one_meaning_a_key = Unique(["actor_id", "operation", "key"])


class StaffLimitRow(Table, tablename="staff_limit"):
    id = BigSerial(primary_key=True)
    staff = refers_to(StaffRow)
    business_date = Date(default=None)
    kind = Varchar(length=20, default=None)
    ceiling = BigInt(default=None)
    own_used = BigInt(default=None)
    reserved = BigInt(default=None)
    first_reported_used = BigInt(default=None)
    reported_used = BigInt(default=None)
    read_at = Timestamptz(default=None)
    one_row_a_day_and_kind = Unique(["staff", "business_date", "kind"])
    own_used_is_not_negative = Check("own_used >= 0")
    reserved_is_not_negative = Check("reserved >= 0")
    reported_used_is_not_negative = Check("reported_used >= 0 and first_reported_used >= 0")


class ReversalRow(Table, tablename="reversal"):
    id = Varchar(length=40, primary_key=True, default=None)
    payment = refers_to(PaymentRow)
    kind = Varchar(length=10, default=None)
    status = Varchar(length=20, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    source = Varchar(length=40, default=None)
    reason = Text(default=None)
    requested_by = Varchar(length=64, default=None)
    approved_by = Varchar(length=64, default=None, null=True)
    attempt = refers_to(AttemptRow, null=True)
    gateway = Varchar(length=20, default=None, null=True)
    gateway_id = Varchar(length=128, default=None, null=True)
    failure_code = Varchar(length=64, default=None, null=True)
    failure_message = Text(default=None, null=True)
    created_at = Timestamptz(default=None)
    updated_at = Timestamptz(default=None)
    sent_at = Timestamptz(default=None, null=True)
    completed_at = Timestamptz(default=None, null=True)
    inquiries = Integer(default=0)
    inquired_at = Timestamptz(default=None, null=True)
    posting_status = Varchar(length=10, default=None)
    share = BigInt(default=None, null=True)
    share_currency = Varchar(length=3, default=None, null=True)
    reversal_amount_is_positive = Check("amount > 0")
    share_is_positive = Check("share > 0")
    share_has_a_currency = Check("(share is null) = (share_currency is null)")


class EntryRow(Table, tablename="entry"):
    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow, null=True)
    reversal = refers_to(ReversalRow, null=True)
    hand_in = refers_to(HandInRow, null=True)
    event = Varchar(length=40, default=None)
    created_at = Timestamptz(default=None)


class PostingRow(Table, tablename="posting"):
    id = BigSerial(primary_key=True)
    entry = refers_to(EntryRow)
    debit = Varchar(length=40, default=None)
    credit = Varchar(length=40, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    staff = refers_to(StaffRow, null=True)
    posting_amount_is_positive = Check("amount > 0")
    posting_has_two_sides = Check("debit <> credit")


class CaseRow(Table, tablename="money_case"):
    id = Varchar(length=40, primary_key=True, default=None)
    kind = Varchar(length=20, default=None)
    status = Varchar(length=20, default=None)
    amount = BigInt(default=None, null=True)
    payment = refers_to(PaymentRow, null=True)
    gateway = Varchar(length=20, default=None, null=True)
    opened_at = Timestamptz(default=None)
    reversal = refers_to(ReversalRow, null=True)
    hand_in = refers_to(HandInRow, null=True)
    about = Text(default=None, null=True)
    decision = Varchar(length=10, default=None, null=True)
    resolved_at = Timestamptz(default=None, null=True)
    unreadable = Text(default=None, null=True)


class CaseApprovalRow(Table, tablename="case_approval"):
    id = BigSerial(primary_key=True)
    money_case = refers_to(CaseRow)
    actor = Varchar(length=64, default=None)
    decision = Varchar(length=10, default=None)
    reason = Text(default=None)
    at = Timestamptz(default=None)
    amount = BigInt(default=None, null=True)
    named_amount_is_positive = Check("amount > 0")


class WebhookEventRow(Table, tablename="webhook_event"):
    id = Varchar(length=40, primary_key=True, default=None)
    gateway = Varchar(length=20, default=None)
    event_id = Varchar(length=200, default=None, null=True)
    reference = Varchar(length=128, default=None, null=True)
    outcome = Varchar(length=20, default=None)
    method = Varchar(length=8, default=None)
    query = Text(default=None)
    headers = JSONB(default=None)
    body = Bytea(default=None)
    received_at = Timestamptz(default=None)
    handled_at = Timestamptz(default=None, null=True)
    deliveries = Integer(default=1)
    tries = Integer(default=0)
    path = Varchar(length=40, default="")
    masked = Boolean(default=False)
    an_event_once_a_gateway = Unique(["gateway", "event_id"])


class NotificationRow(Table, tablename="notification"):
    id = Varchar(length=40, primary_key=True, default=None)
    payment = refers_to(PaymentRow)
    phone = Varchar(length=20, default=None)
    template = Varchar(length=40, default=None)
    channel = Varchar(length=10, default=None)
    status = Varchar(length=10, default=None)
    attempts = SmallInt(default=0)
    created_at = Timestamptz(default=None)
    sent_at = Timestamptz(default=None, null=True)
    one_message_a_phone = Unique(["payment", "phone", "template"])


class AuditEventRow(Table, tablename="audit_event"):
    id = BigSerial(primary_key=True)
    at = Timestamptz(default=None)
    actor = Varchar(length=64, default=None)
    action = Varchar(length=40, default=None)
    outcome = Varchar(length=10, default=None)
    payment_id = Varchar(length=40, default=None, null=True)
    from_status = Varchar(length=20, default=None, null=True)
    to_status = Varchar(length=20, default=None, null=True)
    evidence = Varchar(length=20, default=None, null=True)
    source = Varchar(length=40, default=None, null=True)
    event_id = Varchar(length=200, default=None, null=True)
    request_id = Varchar(length=64, default=None, null=True)
    details = JSONB(default=None)
    txid = BigInt(default=0)


class SealRow(Table, tablename="seal"):
    id = BigSerial(primary_key=True)
    first = BigInt(default=None)
    last = BigInt(default=None)
    head = Bytea(default=None, unique=True)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    sealed_at = Timestamptz(default=None)


class AuditLinkRow(Table, tablename="audit_link"):
    number = BigInt(primary_key=True, default=None)
    event = refers_to(AuditEventRow)
    prev_hash = Bytea(default=None, unique=True)
    hash = Bytea(default=None)
    an_event_is_linked_once = Unique(["event"])


class PaymentRecordRow(Table, tablename="payment_record"):
    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    version = Integer(default=None)
    payload = Text(default=None)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    signed_at = Timestamptz(default=None)
    one_record_a_version = Unique(["payment", "version"])


class SettlementRow(Table, tablename="settlement"):
    id = Varchar(length=40, primary_key=True, default=None)
    gateway = Varchar(length=20, default=None)
    name = Varchar(length=200, default=None)
    digest = Bytea(default=None)
    first_day = Date(default=None)
    last_day = Date(default=None)
    imported_at = Timestamptz(default=None)
    imported_by = Varchar(length=64, default=None)
    a_file_is_imported_once = Unique(["gateway", "digest"])


class SettlementLineRow(Table, tablename="settlement_line"):
    id = BigSerial(primary_key=True)
    settlement = refers_to(SettlementRow)
    gateway = Varchar(length=20, default=None)
    day = Date(default=None)
    kind = Varchar(length=10, default=None)
    reference = Varchar(length=128, default=None)
    gateway_id = Varchar(length=128, default=None, null=True)
    status = Varchar(length=20, default=None, null=True)
    reported_amount = BigInt(default=None, null=True)
    own_amount = BigInt(default=None, null=True)
    currency = Varchar(length=3, default=None)
    at = Timestamptz(default=None, null=True)
    result = Varchar(length=20, default=None)
    payment = refers_to(PaymentRow, null=True)
    reversal = refers_to(ReversalRow, null=True)
    money_case = refers_to(CaseRow, null=True)


class InvariantRow(Table, tablename="invariant"):
    name = Varchar(length=64, primary_key=True, default=None)
    violations = BigInt(default=None)
    rows = JSONB(default=None)
    checked_at = Timestamptz(default=None)
    fully_checked_at = Timestamptz(default=None, null=True)


TABLES: list[type[Table]] = [
    StaffRow,
    SessionRow,
    ApiClientRow,
    OrderRow,
    HandInRow,
    PaymentRow,
    PaymentItemRow,
    AttemptRow,
    IdempotencyKeyRow,
    StaffLimitRow,
    ReversalRow,
    EntryRow,
    PostingRow,
    CaseRow,
    CaseApprovalRow,
    WebhookEventRow,
    NotificationRow,
    AuditEventRow,
    SealRow,
    AuditLinkRow,
    PaymentRecordRow,
    SettlementRow,
    SettlementLineRow,
    InvariantRow,
]


async def create_extension() -> None:
    """Create pg_trgm, whose index searches customers' names. Raises MigrationFailed."""
    try:
        await connection().execute("create extension if not exists pg_trgm")
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.FeatureNotSupportedError,
        asyncpg.UndefinedFileError,
    ) as error:
        raise MigrationFailed(
            f"it needs PostgreSQL's extension pg_trgm ({error}). Grant the owner CREATE on the"
            " database, or let an administrator run CREATE EXTENSION pg_trgm in it; it is part of"
            " postgresql-contrib."
        ) from error


def add_table(manager: MigrationManager, table: type[Table]) -> None:
    """Add the table with its columns and constraints to the migration."""
    tablename = table._meta.tablename
    manager.add_table(class_name=table.__name__, tablename=tablename)
    for column in table._meta.columns:
        manager.add_column(
            table_class_name=table.__name__,
            tablename=tablename,
            column_name=column._meta.name,
            db_column_name=column._meta.db_column_name,
            column_class=type(column),
            params=column._meta.params,
        )
    for constraint in table._meta.constraints:
        manager.add_constraint(
            table_class_name=table.__name__,
            tablename=tablename,
            constraint_name=constraint._meta.name,
            constraint_class=type(constraint),
            params=constraint._meta.params,
        )


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mobinet", description=DESCRIPTION)
    manager.add_raw(create_extension)  # raw steps run before the tables are created
    for table in TABLES:
        add_table(manager, table)
    return manager
