"""
Every table, in the order in which a payment meets them. Only db/ imports this module.

A column says its width and whether it may be empty; what no column can say (partial indexes,
triggers, privileges) is in the migrations beside it. Text ids compare bytewise (`COLLATE "C"`).
Enums are text with the domain's own names: the rules about them are the domain's and the triggers'.
"""

from __future__ import annotations

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

from db.engine import DB


def refers_to(table: type[Table], *, null: bool = False) -> ForeignKey[Table]:
    """Return a foreign key that keeps what it points at: nothing about money is ever cascaded away."""
    return ForeignKey(
        table, null=null, default=None, on_delete=OnDelete.restrict, on_update=OnUpdate.restrict
    )


class StaffRow(Table, tablename="staff", db=DB):
    """Members of staff who ever logged in, as Staff Management last described them."""

    staff_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    team = Varchar(length=64, default=None, null=True)
    permissions = JSONB(default=None)
    seen_at = Timestamptz(default=None)


class SessionRow(Table, tablename="session", db=DB):
    """One login. Tokens are kept as hashes, the wallet's token encrypted."""

    id = Varchar(length=40, primary_key=True, default=None)
    staff = refers_to(StaffRow)
    refresh_hash = Bytea(default=None, unique=True)
    wallet_token = Bytea(default=None, null=True)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    ended_at = Timestamptz(default=None, null=True)


class ApiClientRow(Table, tablename="api_client", db=DB):
    """A program that logs in by itself: dashboards, merchants. The secret is kept as a hash."""

    client_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    secret_hash = Bytea(default=None)
    created_at = Timestamptz(default=None)


class PaymentRow(Table, tablename="payment", db=DB):
    id = Varchar(length=40, primary_key=True, default=None)
    version = Integer(default=None)
    status = Varchar(length=20, default=None)
    method = Varchar(length=20, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    contract_number = Varchar(length=40, default=None)
    customer_name = Varchar(length=200, default=None)
    staff = refers_to(StaffRow)
    team = Varchar(length=64, default=None, null=True)
    business_date = Date(default=None)
    receipt_token = Varchar(length=40, default=None, unique=True)
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

    amount_is_positive = Check("amount > 0")


class PaymentItemRow(Table, tablename="payment_item", db=DB):
    """A bill or fee in a payment. `locked` while the payment is live or has succeeded."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    contract_number = Varchar(length=40, default=None)
    type = Varchar(length=10, default=None)
    item_id = Varchar(length=64, default=None)
    amount = BigInt(default=None)
    locked = Boolean(default=None)

    item_amount_is_positive = Check("amount > 0")
    an_item_once_a_payment = Unique(["payment", "type", "item_id"])


class AttemptRow(Table, tablename="attempt", db=DB):
    """One conversation with a gateway. The key is the reference that we gave it."""

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
    last_finding = Varchar(length=20, default=None, null=True)
    paid_under = Array(base_column=Text(), default=list)
    claimed_at = Timestamptz(default=None, null=True)

    attempt_amount_is_positive = Check("amount > 0")


class IdempotencyKeyRow(Table, tablename="idempotency_key", db=DB):
    """What a client's key stands for: the id of what it opened. `process` answers the first request."""

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


class StaffLimitRow(Table, tablename="staff_limit", db=DB):
    """
    What counts against a ceiling, in VND. `theirs_first` and `theirs` are Staff Management's figure
    at our first and latest reading; used = theirs_first + greatest(ours, theirs - theirs_first).
    """

    id = BigSerial(primary_key=True)
    staff = refers_to(StaffRow)
    business_date = Date(default=None)
    kind = Varchar(length=20, default=None)
    ceiling = BigInt(default=None)
    ours = BigInt(default=None)
    reserved = BigInt(default=None)
    theirs_first = BigInt(default=None)
    theirs = BigInt(default=None)
    read_at = Timestamptz(default=None)

    one_row_a_day_and_kind = Unique(["staff", "business_date", "kind"])
    ours_is_not_negative = Check("ours >= 0")
    reserved_is_not_negative = Check("reserved >= 0")
    theirs_is_not_negative = Check("theirs >= 0 and theirs_first >= 0")


class EntryRow(Table, tablename="entry", db=DB):
    """The postings of one event."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    event = Varchar(length=40, default=None)
    created_at = Timestamptz(default=None)


class PostingRow(Table, tablename="posting", db=DB):
    """An amount that leaves `credit` and arrives at `debit`: it can't be out of balance."""

    id = BigSerial(primary_key=True)
    entry = refers_to(EntryRow)
    debit = Varchar(length=40, default=None)
    credit = Varchar(length=40, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    staff = refers_to(StaffRow, null=True)

    posting_amount_is_positive = Check("amount > 0")
    posting_has_two_sides = Check("debit <> credit")


class CaseRow(Table, tablename="money_case", db=DB):
    """Money that does not fit, waiting for people."""

    id = Varchar(length=40, primary_key=True, default=None)
    kind = Varchar(length=20, default=None)
    status = Varchar(length=20, default=None)
    amount = BigInt(default=None, null=True)
    payment = refers_to(PaymentRow, null=True)
    gateway = Varchar(length=20, default=None, null=True)
    opened_at = Timestamptz(default=None)


class WebhookEventRow(Table, tablename="webhook_event", db=DB):
    """A gateway's call as it came, secrets masked. Without `event_id` it was not verified."""

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

    an_event_once_a_gateway = Unique(["gateway", "event_id"])


class NotificationRow(Table, tablename="notification", db=DB):
    """One message to the customer: one a payment, phone and template, whatever the channel."""

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


class AuditEventRow(Table, tablename="audit_event", db=DB):
    """Who did what, with which evidence. Rows are added in the business transaction, never changed."""

    id = BigSerial(primary_key=True)
    at = Timestamptz(default=None)
    actor = Varchar(length=64, default=None)
    action = Varchar(length=40, default=None)
    outcome = Varchar(length=10, default=None)
    payment_id = Varchar(length=40, default=None, null=True)
    from_status = Varchar(length=20, default=None, null=True)
    to_status = Varchar(length=20, default=None, null=True)
    evidence = Varchar(length=4, default=None, null=True)
    source = Varchar(length=40, default=None, null=True)
    event_id = Varchar(length=200, default=None, null=True)
    request_id = Varchar(length=64, default=None, null=True)
    details = JSONB(default=None)
