"""Cases: opened in the transaction that finds money that does not fit, read by those who decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Gauge

from db import cases
from domain.cases import Approval, Case, CaseKind, CaseStatus, about_money
from domain.methods import GatewayName
from domain.payments import Payment
from domain.staff import Operation, check, scope
from resolvers import pages
from resolvers.context import Context

OPEN = Gauge("mobinet_cases_open", "Cases that wait for people", ["kind"])
OLDEST = Gauge("mobinet_cases_oldest_seconds", "How long the oldest of them has waited", ["kind"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """
    What a case is about: a payment, or a gateway or hand-in where no payment is known.

    `amount` is in VND, `number` the gateway's own of the money, and `unreadable` its sum as the
    gateway wrote it. `about` names the subject if no other field does. `first_vote` is the vote of
    the person who requested the reversal.
    """

    kind: CaseKind
    payment: Payment | None = None
    gateway: GatewayName | None = None
    amount: int | None = None
    number: str | None = None
    unreadable: str | None = None
    reversal_id: str | None = None
    hand_in_id: str | None = None
    about: str | None = None
    first_vote: Approval | None = None


async def open_case(context: Context, new: NewCase, now: datetime) -> Case:
    """
    Open a case, or return the open case that the same claim joins.

    The caller's transaction has locked the payment, where there is one.
    """
    case = _case(context, new, now)
    if new.payment is not None:
        joined_id = await cases.join_open_case(case, number=new.number)
        if joined_id is not None:
            return await cases.get(joined_id, now)
    await cases.add(case)
    return case


def _case(context: Context, new: NewCase, now: datetime) -> Case:
    vote = new.first_vote
    return Case(
        id=context.ids.record("CASE"),
        kind=new.kind,
        status=CaseStatus.AWAITING_SECOND if vote else CaseStatus.OPEN,
        opened_at=now,
        amount=new.amount,
        payment_id=new.payment.id if new.payment else None,
        gateway=new.payment.gateway if new.payment else new.gateway,
        reversal_id=new.reversal_id,
        hand_in_id=new.hand_in_id,
        about=new.about or about_money(new.number, new.unreadable),
        unreadable=new.unreadable,
        decision=vote.decision if vote else None,
        approvals=(vote,) if vote else (),
    )


async def page(
    context: Context, status: CaseStatus | None, request: pages.PageRequest
) -> pages.Page[Case]:
    """
    Return a page of the cases that the actor may see, newest first.

    A supervisor sees the cases of their team's payments and hand-ins. Raises InvalidInput.
    """
    actor = check(context.actor, Operation.READ_CASES)
    page = pages.page_range(request, pages.by_time)
    found = await cases.page(scope(actor), status, page, now=await context.clock())
    return pages.cut(found, page, cases.key)


async def measure(context: Context) -> None:
    """Set the metrics to the number of open cases of each kind and the age of the oldest."""
    now = await context.clock()
    waiting = {group.kind: group for group in await cases.open_counts()}
    for kind in CaseKind:
        group = waiting.get(kind)
        OPEN.labels(kind).set(group.count if group else 0)
        OLDEST.labels(kind).set((now - group.oldest_at).total_seconds() if group else 0)
