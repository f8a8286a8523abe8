"""What is written down about payments: gateways' calls, messages, the audit chain, settlement, checks."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    Date,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.business import CaseRow, PaymentRow, ReversalRow, refers_to


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
    path = Varchar(length=40, default="")
    masked = Boolean(default=False)

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
    """
    Who did what, with which evidence. Rows are added in the business transaction, never changed.
    `txid` is that transaction's number, given by the database.
    """

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


class SealRow(Table, tablename="seal", db=DB):
    """A signature over the audit chain as far as `last`. `head` is the hash of that link."""

    id = BigSerial(primary_key=True)
    first = BigInt(default=None)
    last = BigInt(default=None)
    head = Bytea(default=None, unique=True)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    sealed_at = Timestamptz(default=None)


class AuditLinkRow(Table, tablename="audit_link", db=DB):
    """An audit row's place in the chain: `number` counts without a gap, `hash` covers the row and `prev_hash`."""

    number = BigInt(primary_key=True, default=None)
    event = refers_to(AuditEventRow)
    prev_hash = Bytea(default=None, unique=True)
    hash = Bytea(default=None)

    an_event_is_linked_once = Unique(["event"])


class PaymentRecordRow(Table, tablename="payment_record", db=DB):
    """The final record of a payment, signed: canonical JSON, one for each final state that it had."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    version = Integer(default=None)
    payload = Text(default=None)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    signed_at = Timestamptz(default=None)

    one_record_a_version = Unique(["payment", "version"])


class SettlementRow(Table, tablename="settlement", db=DB):
    """A settlement file that was imported, and the days that it covers: the same one is imported once."""

    id = Varchar(length=40, primary_key=True, default=None)
    gateway = Varchar(length=20, default=None)
    name = Varchar(length=200, default=None)
    digest = Bytea(default=None)
    first_day = Date(default=None)
    last_day = Date(default=None)
    imported_at = Timestamptz(default=None)
    imported_by = Varchar(length=64, default=None)

    a_file_is_imported_once = Unique(["gateway", "digest"])


class SettlementLineRow(Table, tablename="settlement_line", db=DB):
    """
    What a gateway says it settled, beside what we have: `theirs` and `ours` in the currency's minor
    unit, null on the side that knows nothing. `day` is the Vietnamese day that it counts to.
    """

    id = BigSerial(primary_key=True)
    settlement = refers_to(SettlementRow)
    gateway = Varchar(length=20, default=None)
    day = Date(default=None)
    kind = Varchar(length=10, default=None)
    reference = Varchar(length=128, default=None)
    gateway_id = Varchar(length=128, default=None, null=True)
    status = Varchar(length=20, default=None, null=True)
    theirs = BigInt(default=None, null=True)
    ours = BigInt(default=None, null=True)
    currency = Varchar(length=3, default=None)
    at = Timestamptz(default=None, null=True)
    result = Varchar(length=20, default=None)
    payment = refers_to(PaymentRow, null=True)
    reversal = refers_to(ReversalRow, null=True)
    money_case = refers_to(CaseRow, null=True)


class InvariantRow(Table, tablename="invariant", db=DB):
    """What the last check of an invariant found; `rows` names some of the violations."""

    name = Varchar(length=64, primary_key=True, default=None)
    violations = BigInt(default=None)
    rows = JSONB(default=None)
    checked_at = Timestamptz(default=None)
    whole_at = Timestamptz(default=None, null=True)
