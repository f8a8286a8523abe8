"""Payments, their items and their attempts."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Date,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.hand_ins import HandInRow
from db.tables.orders import OrderRow
from db.tables.references import refers_to
from db.tables.staff import StaffRow


class PaymentRow(Table, tablename="payment", db=DB):
    """
    One try at paying bills, fees or an order by one method.

    `customer_name_folded` is the name as `domain.payment_search.folded` writes it, for searches.
    `version` grows with each change that a client sees.
    """

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


class PaymentItemRow(Table, tablename="payment_item", db=DB):
    """A bill or fee in a payment. It is `locked` while the payment is live or successful."""

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
    """One try at taking a payment through a gateway. The key is the reference that we gave it."""

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
