"""Settlement files and their lines."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Bytea, Date, Timestamptz, Varchar
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.cases import CaseRow
from db.tables.payments import PaymentRow
from db.tables.references import refers_to
from db.tables.reversals import ReversalRow


class SettlementRow(Table, tablename="settlement", db=DB):
    """An imported settlement file and the days that it covers."""

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
    What a gateway settled, and what our books have for it.

    `reported_amount` is the file's, `own_amount` ours, in the currency's minor unit; null on the
    side that knows nothing. `day` is the Vietnamese day that the line counts to.
    """

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


class ForeignLineRow(Table, tablename="foreign_line", db=DB):
    """
    A line of another program, on a shared account, that is not written as ours are.

    What could not be read is null. Equal lines have the same `digest`.
    """

    id = BigSerial(primary_key=True)
    settlement = refers_to(SettlementRow)
    gateway = Varchar(length=20, default=None)
    day = Date(default=None)
    digest = Bytea(default=None)
    reference = Varchar(length=128, default=None)
    kind = Varchar(length=10, default=None, null=True)
    amount = BigInt(default=None, null=True)
    currency = Varchar(length=3, default=None, null=True)
