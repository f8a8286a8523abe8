"""Voids and refunds."""

from __future__ import annotations

from piccolo.columns import BigInt, Integer, Text, Timestamptz, Varchar
from piccolo.constraints import Check
from piccolo.table import Table

from db.engine import DB
from db.tables.payments import AttemptRow, PaymentRow
from db.tables.references import refers_to


class ReversalRow(Table, tablename="reversal", db=DB):
    """
    A void or a refund. The key is also the reference that a gateway is given.

    `source` is the account that the money leaves. `posting_status` is the state of Revenue's record
    of it. `share` is the refund in the gateway's currency, if that is another one.
    """

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
