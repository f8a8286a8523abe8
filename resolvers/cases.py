"""Cases: opened in the transaction that found money that does not fit, and read by who may decide."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Gauge

from db import cases
from domain.cases import Approval, Case, CaseKind, CaseStatus, about_money
from domain.methods import GatewayName
from domain.payments import Payment
from domain.staff import Operation, check, scope
from resolvers import pages
from resolvers.context import Context

MOST = 100

OPEN = Gauge("mobinet_cases_open", "Cases that wait for people", ["kind"])
OLDEST = Gauge("mobinet_cases_oldest_seconds", "How long the oldest of them has waited", ["kind"])


async def open_case(
    context: Context,
    kind: CaseKind,
    now: datetime,
    *,
    payment: Payment | None = None,
    gateway: GatewayName | None = None,
    amount: int | None = None,
    reversal_id: str | None = None,
    hand_in_id: str | None = None,
    about: str | None = None,
    number: str | None = None,
    unreadable: str | None = None,
    asked: Approval | None = None,
) -> Case:
    """
    Open a case about *payment*, or about a *gateway* or a hand-in where no payment is known.

    `amount` is in VND, `unreadable` what the gateway wrote in its place, and `number` the gateway's own
    of the money. `asked` is the first of the two words: who asks for a reversal has said APPLY.
    A claim about money that an open case is about joins it. The caller has locked the payment.
    """
    case = Case(
        id=context.ids.record("CASE"),
        kind=kind,
        status=CaseStatus.AWAITING_SECOND if asked else CaseStatus.OPEN,
        opened_at=now,
        amount=amount,
        payment_id=payment.id if payment else None,
        gateway=payment.gateway if payment else gateway,
        reversal_id=reversal_id,
        hand_in_id=hand_in_id,
        about=about or about_money(number, unreadable),
        unreadable=unreadable,
        decision=asked.decision if asked else None,
        approvals=(asked,) if asked else (),
    )
    if payment is not None and (earlier := await cases.joined(case, number=number)) is not None:
        known = await cases.by_id(earlier, now)
        assert known is not None
        return known
    await cases.open_case(case)
    return case


async def page(
    context: Context, status: CaseStatus | None, *, first: int, after: str | None
) -> pages.Page[Case]:
    """
    Return up to *first* of the cases that the asker may see, newest first, behind the cursor *after*.

    A team's supervisor sees those of its payments and hand-ins. Raises InvalidInput.
    """
    actor = check(context.actor, Operation.READ_CASES)
    pages.check_first(first, most=MOST)
    key = None if after is None else pages.read(after, pages.by_time)
    now = await context.clock()
    found = await cases.page(scope(actor), status, after=key, most=first + 1, now=now)
    return pages.cut(found, first, cases.key)


async def measure(context: Context) -> None:
    """Tell the metrics how many cases wait, and how long the oldest of each kind has."""
    now = await context.clock()
    found = {item.kind: item for item in await cases.waiting()}
    for kind in CaseKind:
        known = found.get(kind)
        OPEN.labels(kind).set(known.count if known else 0)
        OLDEST.labels(kind).set((now - known.since).total_seconds() if known else 0)
