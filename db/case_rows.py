"""The rows of cases: the statement that reads them, and the conversion to the domain's case."""

from __future__ import annotations

from datetime import datetime

import orjson

from db.engine import Row
from domain.cases import (
    CLAIMS_ITS_SUM,
    Approval,
    Case,
    CaseDecision,
    CaseKind,
    CaseStatus,
    PaymentBooks,
)
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payments import PaymentStatus
from domain.reversals import ReversalStatus

# One row for each case. The ledger says what its payment has in suspense.
SELECT = f"""
select c.*, p.status as p_status, p.amount as p_amount,
       p.posting_status = 'FAILED' as refused, books.*, r.status as r_status,
       (select json_agg(json_build_array(a.actor, a.decision, a.reason, a.at, a.amount)
                        order by a.id)
          from case_approval a where a.money_case = c.id)::text as approvals,
       (select coalesce(sum(other.amount), 0)::bigint from money_case other
         where other.payment = c.payment and other.id <> c.id and other.status <> 'RESOLVED'
           and other.kind = any('{{{",".join(sorted(CLAIMS_ITS_SUM))}}}')) as claimed,
       (select coalesce(sum(r.amount), 0)::bigint from reversal r
         where r.payment = c.payment and r.status = 'AWAITING_APPROVAL'
           and r.source = 'customer_receivable') as refund_requested,
       not exists (select from payment_item item
                     join payment_item other using (contract_number, type, item_id)
                    where item.payment = c.payment and other.payment <> c.payment
                      and other.locked)
       and not exists (select from payment other
                        where other.merchant_order = p.merchant_order and other.id <> p.id
                          and other.status in ('PENDING', 'PROCESSING', 'SUCCESS')) as bills_open
  from money_case c
  left join payment p on p.id = c.payment
  left join hand_in h on h.id = c.hand_in
  left join reversal r on r.id = c.reversal
 cross join lateral (
      select coalesce(sum(moved) filter (where account = 'suspense' and currency = 'VND'),
                      0)::bigint as suspense,
             coalesce(sum(moved) filter (where account = 'customer_receivable'), 0)::bigint
                 as receivable,
             max(currency) filter (where account = 'suspense' and currency <> 'VND')
                 as foreign_currency,
             coalesce(sum(moved) filter (where account = 'suspense' and currency <> 'VND'),
                      0)::bigint as foreign_amount
        from entry join posting on posting.entry = entry.id
       cross join lateral (values (credit, posting.amount), (debit, -posting.amount))
                  as side (account, moved)
       where entry.payment = c.payment)
       as books (suspense, receivable, foreign_currency, foreign_amount)
"""


def case_of_row(row: Row, now: datetime) -> Case:
    """Return the case in a row of SELECT, as it stands at *now*."""
    return Case(
        id=row["id"],
        kind=CaseKind(row["kind"]),
        status=CaseStatus(row["status"]),
        opened_at=row["opened_at"],
        amount=row["amount"],
        payment_id=row["payment"],
        gateway=GatewayName(row["gateway"]) if row["gateway"] else None,
        reversal_id=row["reversal"],
        hand_in_id=row["hand_in"],
        about=row["about"],
        decision=CaseDecision(row["decision"]) if row["decision"] else None,
        resolved_at=row["resolved_at"],
        approvals=tuple(
            Approval(
                actor=actor,
                decision=CaseDecision(decision),
                reason=reason,
                at=datetime.fromisoformat(at),
                amount=amount,
            )
            for actor, decision, reason, at, amount in orjson.loads(row["approvals"] or "[]")
        ),
        books=_books(row),
        outcome=_OUTCOMES.get(row["r_status"]) if row["kind"] == CaseKind.REFUND_UNKNOWN else None,
        seen_at=now,
        unreadable=row["unreadable"],
    )


# The decision that a reversal's final status amounts to.
_OUTCOMES = {
    ReversalStatus.DONE.value: CaseDecision.APPLY,
    ReversalStatus.FAILED.value: CaseDecision.CLOSE,
}


def _books(row: Row) -> PaymentBooks | None:
    if row["p_status"] is None:
        return None
    foreign = row["foreign_amount"]
    return PaymentBooks(
        status=PaymentStatus(row["p_status"]),
        owed=row["p_amount"],
        suspense=row["suspense"],
        claimed=row["claimed"],
        receivable=row["receivable"],
        refund_requested=row["refund_requested"],
        refused=row["refused"],
        bills_open=row["bills_open"],
        foreign=Money(foreign, Currency(row["foreign_currency"])) if foreign else None,
    )
