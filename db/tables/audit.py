"""The audit log, its chain and seals, and the signed records of payments."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Bytea, Integer, Text, Timestamptz, Varchar
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.payments import PaymentRow
from db.tables.references import refers_to


class AuditEventRow(Table, tablename="audit_event", db=DB):
    """
    One row of the audit log, added in the business transaction and never changed.

    `txid` is the number of that transaction, given by the database.
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


class AuditLinkRow(Table, tablename="audit_link", db=DB):
    """
    An audit row's place in the chain.

    `number` counts without a gap; `hash` covers the row and `prev_hash`.
    """

    number = BigInt(primary_key=True, default=None)
    event = refers_to(AuditEventRow)
    prev_hash = Bytea(default=None, unique=True)
    hash = Bytea(default=None)

    an_event_is_linked_once = Unique(["event"])


class SealRow(Table, tablename="seal", db=DB):
    """A signature over the links from `first` to `last`. `head` is the hash of the last one."""

    id = BigSerial(primary_key=True)
    first = BigInt(default=None)
    last = BigInt(default=None)
    head = Bytea(default=None, unique=True)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    sealed_at = Timestamptz(default=None)


class PaymentRecordRow(Table, tablename="payment_record", db=DB):
    """The signed record of a final payment: canonical JSON, one for each final status."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow)
    version = Integer(default=None)
    payload = Text(default=None)
    key_id = Varchar(length=64, default=None)
    signature = Bytea(default=None)
    signed_at = Timestamptz(default=None)

    one_record_a_version = Unique(["payment", "version"])
