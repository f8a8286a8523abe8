"""Cash that collectors bring to the office."""

from __future__ import annotations

from piccolo.columns import BigInt, Date, Text, Timestamptz, Varchar
from piccolo.constraints import Check
from piccolo.table import Table

from db.engine import DB
from db.tables.references import refers_to
from db.tables.staff import StaffRow


class HandInRow(Table, tablename="hand_in", db=DB):
    """
    Cash that a member of staff brings to the office, in VND.

    `expected` is the sum of its payments, `declared` the staff's count, `counted` the cashier's.
    """

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
