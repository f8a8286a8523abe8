"""
The tables, in the order in which a payment meets them; what is written about it, and never changed, is
in records.py. Only db/ imports the two.

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


class OrderRow(Table, tablename="merchant_order", db=DB):
    """What a merchant wants paid. `reference` is the merchant's own, and names the order for them."""

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


class HandInRow(Table, tablename="hand_in", db=DB):
    """
    Cash that a member of staff brings to the office. `declared` is what they counted, `counted` what
    the cashier did, `expected` the sum of its payments; in VND.
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


class PaymentRow(Table, tablename="payment", db=DB):
    id = Varchar(length=40, primary_key=True, default=None)
    version = Integer(default=None)
    status = Varchar(length=20, default=None)
    method = Varchar(length=20, default=None)
    amount = BigInt(default=None)
    currency = Varchar(length=3, default=None)
    contract_number = Varchar(length=40, default=None, null=True)
    merchant_order = refers_to(OrderRow, null=True)
    customer_name = Varchar(length=200, default=None)
    customer_name_folded = Text(default=None)  # domain.search.folded of it: what a search compares
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


class ReversalRow(Table, tablename="reversal", db=DB):
    """
    A void or a refund. `source` is the account that the money leaves; `told` how far Revenue
    knows of it; `share` what a gateway is asked for that was paid in another currency. The key is also
    the reference that a gateway is given.
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
    told = Varchar(length=10, default=None)
    share = BigInt(default=None, null=True)
    share_currency = Varchar(length=3, default=None, null=True)

    reversal_amount_is_positive = Check("amount > 0")
    share_is_positive = Check("share > 0")
    share_has_a_currency = Check("(share is null) = (share_currency is null)")


class EntryRow(Table, tablename="entry", db=DB):
    """The postings of one event: of a payment, of its reversal, or of a hand-in."""

    id = BigSerial(primary_key=True)
    payment = refers_to(PaymentRow, null=True)
    reversal = refers_to(ReversalRow, null=True)
    hand_in = refers_to(HandInRow, null=True)
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
    """
    Money that does not fit, waiting for people. `about` says what no other column can name.

    `unreadable` is a gateway's sum as it was written, while no `amount` is known.
    """

    id = Varchar(length=40, primary_key=True, default=None)
    kind = Varchar(length=20, default=None)
    status = Varchar(length=20, default=None)
    amount = BigInt(default=None, null=True)
    payment = refers_to(PaymentRow, null=True)
    gateway = Varchar(length=20, default=None, null=True)
    opened_at = Timestamptz(default=None)
    reversal = refers_to(ReversalRow, null=True)
    hand_in = refers_to(HandInRow, null=True)
    about = Text(default=None, null=True)
    decision = Varchar(length=10, default=None, null=True)
    resolved_at = Timestamptz(default=None, null=True)
    unreadable = Text(default=None, null=True)


class CaseApprovalRow(Table, tablename="case_approval", db=DB):
    """
    One person's word on a case; the last with the case's present `decision` waits for another's.

    `amount` is what came in their knowledge, where the gateway's own sum cannot be read.
    """

    id = BigSerial(primary_key=True)
    money_case = refers_to(CaseRow)
    actor = Varchar(length=64, default=None)
    decision = Varchar(length=10, default=None)
    reason = Text(default=None)
    at = Timestamptz(default=None)
    amount = BigInt(default=None, null=True)

    named_amount_is_positive = Check("amount > 0")
