"""Entries and their postings."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Timestamptz, Varchar
from piccolo.constraints import Check
from piccolo.table import Table

from db.engine import DB
from db.tables.hand_ins import HandInRow
from db.tables.payments import PaymentRow
from db.tables.references import refers_to
from db.tables.reversals import ReversalRow
from db.tables.staff import StaffRow


class EntryRow(Table, tablename="entry", db=DB):
    """The postings of one event of a payment, of its reversal, or of a hand-in."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow, null=True)
    reversal = refers_to(ReversalRow, null=True)
    hand_in = refers_to(HandInRow, null=True)
    event = Varchar(length=40, default=None)
    created_at = Timestamptz(default=None)


class PostingRow(Table, tablename="posting", db=DB):
    """An amount with the account that it debits and the one that it credits."""

    id = BigSerial(primary_key=True)
    entry = refers_to(EntryRow)
    debit = Varchar(length=40, default=None)
    credit = Varchar(length=40, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    staff = refers_to(StaffRow, null=True)

    posting_amount_is_positive = Check("amount > 0")
    posting_has_two_sides = Check("debit <> credit")
