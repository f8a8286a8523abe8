"""The decision table, written by hand: payment state × statement → decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from domain.attempts import AttemptStatus
from domain.cases import CaseKind
from domain.ledger import Account
from domain.money import Currency, Money
from domain.payment_evidence import (
    Closing,
    Decision,
    Effect,
    Evidence,
    EvidenceSource,
    GatewayResult,
)
from domain.payments import HoldReason, Payment, PaymentStatus
from tests.support.builders import a_payment, an_attempt, evidence

# The sums of PAID statements. Beside these and the results, "→" is UNPAID with a closing.
PAID = {
    "under": Money(199_999),
    "exact": Money(200_000),
    "over": Money(200_001),
    "usd": Money(200_000, Currency.USD),
    "zero": Money(0),
    "none": None,
}
STATEMENTS = (
    "ACCEPTED", "UNPAID", "→EXPIRED", "→CANCELLED", "DECLINED", "EXPIRED", "SUSPICIOUS", "UNKNOWN",
    "NOT_CONNECTED", "NOT_STARTED", "GAVE_UP", *PAID, "unread",
)  # fmt: skip

# "·"      no change and no inquiry    ask    no change, but an inquiry
# known    the attempt is ACCEPTED     lost   the attempt is UNKNOWN, with an inquiry
# blind    as known, but there is no QR or address, so the payment needs verification
# booked   the money goes to suspense, under the case of the held payment
# named    the attempt gets its first number
# FAILED EXPIRED CANCELLED             the payment ends; bills and reservation are released
# SUCCESS  collected     late  LATE_SUCCESS     late+ +case  money to suspense, with a case
# unread+  a case about an unreadable sum; the held payment stays as it is
# !amount !currency !suspicious !unknown        held, with a case       no  TransitionRefused
TABLE = """
status     attempt   held | ACCEPTED UNPAID →EXPIRED →CANCELLED DECLINED EXPIRED SUSPICIOUS  UNKNOWN NOT_CONNECTED NOT_STARTED GAVE_UP under   exact   over    usd       zero    none      unread
PENDING    CREATED   ·    | ·        ·      no       CANCELLED  FAILED   no      !suspicious ·       FAILED   FAILED     !unknown  !amount SUCCESS SUCCESS !currency !amount !currency !amount
PROCESSING SENT      ·    | known    ·      EXPIRED  CANCELLED  FAILED   EXPIRED !suspicious lost    FAILED   ·          !unknown  !amount SUCCESS SUCCESS !currency !amount !currency !amount
PROCESSING ACCEPTED  ·    | ·        ·      EXPIRED  CANCELLED  FAILED   EXPIRED !suspicious ·       ·        ·          !unknown  !amount SUCCESS SUCCESS !currency !amount !currency !amount
PROCESSING UNKNOWN   ·    | known    blind  EXPIRED  CANCELLED  FAILED   EXPIRED !suspicious ·       ·        ·          !unknown  !amount SUCCESS SUCCESS !currency !amount !currency !amount
PROCESSING SENT      held | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         booked  booked  booked  booked    ·       ·         unread+
PROCESSING ACCEPTED  held | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         booked  booked  booked  booked    ·       ·         unread+
PROCESSING UNKNOWN   held | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         booked  booked  booked  booked    ·       ·         unread+
PROCESSING PAID      held | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         ·       ·       ·       ·         ·       ·         ·
SUCCESS    PAID      ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         ·       ·       ·       ·         ·       ·         ·
FAILED     DECLINED  ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         late+   late    late    late+     late+   late+     late+
EXPIRED    EXPIRED   ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         late+   late    late    late+     late+   late+     late+
CANCELLED  CANCELLED ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         late+   late    late    late+     late+   late+     late+
FAILED     PAID      ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         ·       ·       ·       ·         ·       ·         ·
EXPIRED    PAID      ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         ·       ·       ·       ·         ·       ·         ·
CANCELLED  PAID      ·    | ·        ·      ·        ·          ·        ·       ·           ·       ·        ·          ·         ·       ·       ·       ·         ·       ·         ·
"""  # noqa: E501

PROOFS = {EvidenceSource.INQUIRY, EvidenceSource.SETTLEMENT}
OUR_OWN = {
    *("ACCEPTED", "UNKNOWN", "NOT_CONNECTED", "NOT_STARTED", "GAVE_UP", "UNPAID"),
    *("→EXPIRED", "→CANCELLED"),
}
ENDED = {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED}


@dataclass(frozen=True)
class Row:
    payment: Payment
    cells: dict[str, str]

    def __str__(self) -> str:
        assert self.payment.attempt is not None
        suffix = "-held" if self.payment.hold_reason else ""
        return f"{self.payment.status}{suffix}-{self.payment.attempt.status}"


def rows() -> Iterator[Row]:
    heading, *lines = (line for line in TABLE.strip().splitlines())
    names = heading.partition("|")[2].split()
    assert tuple(names) == STATEMENTS
    for line in lines:
        left, _, right = line.partition("|")
        status, attempt, held = left.split()
        payment = a_payment(
            PaymentStatus(status),
            hold_reason=HoldReason.GATEWAY_SUSPICIOUS if held == "held" else None,
            attempt=an_attempt(AttemptStatus(attempt), gateway_id="G1"),
        )
        yield Row(payment, dict(zip(names, right.split(), strict=True)))


ROWS = list(rows())
each_state = pytest.mark.parametrize("row", ROWS, ids=str)
each_statement = pytest.mark.parametrize("statement", STATEMENTS)


def statement_of(
    statement: str, source: EvidenceSource | None, gateway_id: str | None = "G1"
) -> Evidence:
    """Return the evidence of a column of the table."""
    if statement == "unread":
        return evidence(
            GatewayResult.PAID, source=source, gateway_id=gateway_id, unreadable="200.000"
        )
    if statement in PAID:
        return evidence(
            GatewayResult.PAID, source=source, money=PAID[statement], gateway_id=gateway_id
        )
    result = GatewayResult.UNPAID if statement.startswith("→") else GatewayResult(statement)
    return evidence(result, source=source, money=None, gateway_id=None)


def closings(statement: str) -> tuple[Closing | None, ...]:
    """Return the closings to try: one for UNPAID and each "→", all for other statements."""
    if statement == "UNPAID":
        return (None,)
    return (Closing(statement[1:]),) if statement.startswith("→") else (None, *Closing)


def cell_of(before: Payment, decision: Decision) -> str:
    """Return the table's cell for a decision, after checking that it is complete."""
    after = decision.after
    assert after.attempt is not None
    if not decision.changed:
        assert decision == Decision(
            payment=before, attempt=before.attempt, changed=False, inquire=decision.inquire
        )
        return "ask" if decision.inquire else "·"
    cell = _cell_of_change(before, decision)
    is_next = after.version == before.version + 1
    assert is_next or cell in {"+case", "unread+"}, "watchers see every change of a payment"
    assert decision.inquire == (cell == "lost")
    assert (decision.case is not None) == (cell[0] in "+!" or cell[-1] == "+")
    assert after.is_final is (after.completed_at is not None) or before.is_final
    if after.is_final:
        assert not after.needs_verification
        assert after.hold_reason is None
    return cell


def _cell_of_change(before: Payment, decision: Decision) -> str:
    after, effect = decision.after, decision.effect
    to_suspense = {posting.credit for posting in decision.postings} <= {Account.SUSPENSE}
    if before.status is not after.status:
        if after.status is PaymentStatus.SUCCESS:
            assert decision.attempt.status is AttemptStatus.PAID
            assert sum(posting.money.amount for posting in decision.postings) >= after.amount
            assert decision.postings[0].credit is Account.CUSTOMER_RECEIVABLE
            late = before.is_final
            assert after.late is late
            assert effect is (Effect.COLLECT_LATE if late else Effect.COLLECT)
            return "late" if late else "SUCCESS"
        assert effect is Effect.RELEASE
        assert decision.postings == ()
        ended = {"FAILED": "DECLINED"}.get(after.status, after.status)
        assert decision.attempt.status == ended
        return after.status.value
    assert effect is Effect.NONE
    assert to_suspense
    if after.hold_reason is not None and before.hold_reason is None:
        assert after.needs_verification
        cell, case = {
            HoldReason.AMOUNT_MISMATCH: ("!amount", CaseKind.AMOUNT_MISMATCH),
            HoldReason.CURRENCY_MISMATCH: ("!currency", CaseKind.CURRENCY_MISMATCH),
            HoldReason.GATEWAY_SUSPICIOUS: ("!suspicious", CaseKind.SUSPICIOUS),
            HoldReason.UNKNOWN_OUTCOME: ("!unknown", CaseKind.UNKNOWN_OUTCOME),
        }[after.hold_reason]
        assert decision.case is case
        return cell
    if decision.case is CaseKind.LATE_MONEY:
        assert (decision.attempt.status is AttemptStatus.PAID) is bool(decision.postings)
        return "late+"
    if decision.case is CaseKind.PAID_TWICE:
        return "+case"
    if decision.case is CaseKind.AMOUNT_MISMATCH:
        assert (after, decision.postings) == (before, ())
        return "unread+"
    assert decision.case is None
    if decision.attempt.status is AttemptStatus.UNKNOWN:
        assert after.needs_verification
        return "lost"
    if before.attempt and before.attempt.status is AttemptStatus.PAID:
        assert decision.postings == ()
        return "named"
    if before.hold_reason is not None:
        assert decision.attempt.status is AttemptStatus.PAID
        return "booked"
    assert decision.attempt.status is AttemptStatus.ACCEPTED
    blind = after.needs_verification
    assert not blind or decision.attempt.qr_payload is decision.attempt.payment_url is None
    return "blind" if blind else "known"
