"""Cases and the votes on them."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Text, Timestamptz, Varchar
from piccolo.constraints import Check
from piccolo.table import Table

from db.engine import DB
from db.tables.hand_ins import HandInRow
from db.tables.payments import PaymentRow
from db.tables.references import refers_to
from db.tables.reversals import ReversalRow


class CaseRow(Table, tablename="money_case", db=DB):
    """
    Money that does not fit, waiting for two people.

    `about` names what no other column can: a gateway's number, a reference, a refund.
    `unreadable` is a gateway's amount as the gateway wrote it, while no `amount` is known.
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
    One person's vote on a case.

    The last vote for the case's present `decision` waits for another person's.
    `amount` is what arrived as far as the person knows, where the gateway's amount is unreadable.
    """

    id = BigSerial(primary_key=True)
    money_case = refers_to(CaseRow)
    actor = Varchar(length=64, default=None)
    decision = Varchar(length=10, default=None)
    reason = Text(default=None)
    at = Timestamptz(default=None)
    amount = BigInt(default=None, null=True)

    named_amount_is_positive = Check("amount > 0")
