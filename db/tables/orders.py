"""Merchants' orders."""

from __future__ import annotations

from piccolo.columns import BigInt, Timestamptz, Varchar
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.references import refers_to
from db.tables.staff import StaffRow


class OrderRow(Table, tablename="merchant_order", db=DB):
    """What a merchant wants paid, under the merchant's own `reference`."""

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
