"""Messages to customers."""

from __future__ import annotations

from piccolo.columns import SmallInt, Timestamptz, Varchar
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.payments import PaymentRow
from db.tables.references import refers_to


class NotificationRow(Table, tablename="notification", db=DB):
    """One message to the customer: one for each payment, phone and template."""

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
