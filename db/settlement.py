"""Settlement files and their lines, and what our books have for their references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from db import reconciliation
from db.engine import Row, execute, fetch, fetchval
from domain.calendar import business_date, day_end
from domain.cases import CaseKind
from domain.ledger import CLEARING
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payments import PaymentStatus
from domain.reconciliation import ReconciliationLine
from domain.settlement import EXPLAINING_KINDS, LineKind, OurPayment, OurRefund, SettlementResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """An imported file. It covers the days from the first to the last, inclusive."""

    id: str
    gateway: GatewayName
    name: str
    digest: bytes
    first_day: date
    last_day: date
    imported_at: datetime
    imported_by: str


async def imported_at(gateway: GatewayName, digest: bytes) -> datetime | None:
    """Return when the file with this digest was imported; None where it was not."""
    return await fetchval(
        "select imported_at from settlement where gateway = $1 and digest = $2", gateway, digest
    )


async def add(settlement: Settlement) -> bool:
    """
    Add a file, and block other imports of its gateway until the transaction ends.

    Returns False where the same file was imported first.
    """
    await execute("select pg_advisory_xact_lock(hashtext('settlement ' || $1))", settlement.gateway)
    added = await fetchval(
        """
        insert into settlement (id, gateway, name, digest, first_day, last_day, imported_at,
                                imported_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (gateway, digest) do nothing returning 1
        """,
        settlement.id,
        settlement.gateway,
        settlement.name,
        settlement.digest,
        settlement.first_day,
        settlement.last_day,
        settlement.imported_at,
        settlement.imported_by,
    )
    return added is not None


async def add_lines(gateway: GatewayName, lines: Sequence[ReconciliationLine]) -> None:
    await execute(
        """
        insert into settlement_line (settlement, gateway, day, kind, reference, gateway_id, status,
                                     reported_amount, own_amount, currency, at, result, payment,
                                     reversal, money_case)
        select line.settlement, $1, line.day, line.kind, line.reference, line.gateway_id,
               case when line.reported_amount is not null then 'success' end,
               line.reported_amount, line.own_amount, line.currency, line.at, line.result,
               line.payment, line.reversal, line.money_case
          from unnest($2::text[], $3::date[], $4::text[], $5::text[], $6::text[],
                      $7::bigint[], $8::bigint[], $9::text[], $10::timestamptz[], $11::text[],
                      $12::text[], $13::text[], $14::text[])
               as line (settlement, day, kind, reference, gateway_id, reported_amount,
                        own_amount, currency, at, result, payment, reversal, money_case)
        """,
        gateway,
        [line.settlement_id for line in lines],
        [line.day for line in lines],
        [line.kind for line in lines],
        [line.reference for line in lines],
        [line.gateway_id for line in lines],
        [line.reported_amount for line in lines],
        [line.own_amount for line in lines],
        [line.currency for line in lines],
        [line.at for line in lines],
        [line.result for line in lines],
        [line.payment_id for line in lines],
        [line.reversal_id for line in lines],
        [line.case_id for line in lines],
    )


async def complete(line: ReconciliationLine) -> None:
    """Write what the gateway's file reports into a line that only we had."""
    await execute(
        """
        update settlement_line
           set settlement = $2, day = $3, gateway_id = $4, status = 'success',
               reported_amount = $5, own_amount = $6,
               currency = $7, at = $8, result = $9, money_case = $10
         where id = $1
        """,
        line.id,
        line.settlement_id,
        line.day,
        line.gateway_id,
        line.reported_amount,
        line.own_amount,
        line.currency,
        line.at,
        line.result,
        line.case_id,
    )


async def lines_of(gateway: GatewayName, references: Sequence[str]) -> list[ReconciliationLine]:
    """Return the stored lines of these references, in the order of import."""
    rows = await fetch(
        "select * from settlement_line where gateway = $1 and reference = any($2) order by id",
        gateway,
        references,
    )
    return [reconciliation.line_of(row) for row in rows]


async def attempts_of(gateway: GatewayName, references: Sequence[str]) -> dict[str, str]:
    """Return the payment's id of each of *references* that we gave *gateway*."""
    rows = await fetch(
        "select reference, payment from attempt where gateway = $1 and reference = any($2)",
        gateway,
        references,
    )
    return {row["reference"]: row["payment"] for row in rows}


async def known_numbers(gateway: GatewayName, numbers: Sequence[str]) -> set[str]:
    """Return those of the gateway's *numbers* that an attempt or refund of ours has."""
    rows = await fetch(
        """
        select number from unnest($2::text[]) number
         where exists (select from attempt a where a.gateway_id = number and a.gateway = $1)
            or exists (select from reversal r where r.gateway_id = number and r.gateway = $1)
        """,
        gateway,
        numbers,
    )
    return {row["number"] for row in rows}


# The first money that arrived in account $4 for payment p by attempt a. Our books have it in the
# payment's currency; a gateway that charged another currency took the attempt's amount.
_ARRIVED = """lateral (
              select case when in_other_currency then a.amount
                          else sum(posting.amount)::bigint end as amount,
                     case when in_other_currency then a.currency
                          else posting.currency end as currency
                from entry join posting on posting.entry = entry.id
               cross join lateral (
                     select posting.currency = p.currency and a.currency <> p.currency
                            as in_other_currency) attempt_currency
               where entry.payment = p.id and entry.reversal is null and posting.debit = $4
               group by entry.id, posting.currency, in_other_currency
               order by entry.id limit 1) arrived on true"""


async def payments_of(gateway: GatewayName, references: Sequence[str]) -> dict[str, OurPayment]:
    """Return our payment of each of *references* that we gave *gateway*."""
    rows = await fetch(
        f"""
        select a.reference, a.amount as requested, a.currency, a.paid_under, p.id, p.status,
               arrived.amount as arrived, arrived.currency as arrived_in,
               (select c.id from money_case c
                 where c.payment = p.id and c.status <> 'RESOLVED' and c.kind = any($3)
                 order by c.opened_at desc limit 1) as explained_by,
               (select c.id from money_case c
                 where c.payment = p.id and c.status <> 'RESOLVED' and c.kind = $5
                 order by c.opened_at desc limit 1) as paid_twice
          from attempt a
          join payment p on p.id = a.payment
          left join {_ARRIVED}
         where a.gateway = $1 and a.reference = any($2)
        """,
        gateway,
        references,
        list(EXPLAINING_KINDS),
        CLEARING[gateway],
        CaseKind.PAID_TWICE,
    )
    return {row["reference"]: _our_payment(row) for row in rows}


async def refunds_of(gateway: GatewayName, references: Sequence[str]) -> dict[str, list[OurRefund]]:
    """Return the refunds through *gateway*, oldest first, by their payment's reference."""
    rows = await fetch(
        """
        select r.id, r.attempt, r.status, coalesce(r.share, r.amount) as amount,
               coalesce(r.share_currency, r.currency) as currency, r.gateway_id,
               exists (select from settlement_line l
                        where l.reversal = r.id and l.reported_amount is not null) as settled
          from reversal r
         where r.gateway = $1 and r.kind = 'REFUND' and r.attempt = any($2)
           and (r.status <> 'FAILED' or r.sent_at is not null)
         order by r.created_at, r.id
        """,
        gateway,
        references,
    )
    refunds: dict[str, list[OurRefund]] = {}
    for row in rows:
        refund = OurRefund(
            reversal_id=row["id"],
            requested=Money(row["amount"], Currency(row["currency"])),
            gateway_id=row["gateway_id"],
            unsure=row["status"] in {"PENDING", "UNKNOWN"},
            done=row["status"] == "DONE",
            failed=row["status"] == "FAILED",
            settled=row["settled"],
        )
        refunds.setdefault(row["attempt"], []).append(refund)
    return refunds


async def ours_only(
    gateway: GatewayName, first_day: date, last_day: date, settlement_id: str
) -> list[ReconciliationLine]:
    """
    Return a line for each payment and refund of these days that no imported file names.

    A payment counts on the day of its success, a refund on the day on which it was DONE.
    """
    begin, end = day_end(first_day - timedelta(days=1)), day_end(last_day)
    rows = await fetch(
        f"""
        select 'PAYMENT' as kind, a.reference, p.completed_at as at, p.id as payment,
               null as reversal, arrived.amount, arrived.currency
          from payment p
          join lateral (select reference, gateway, amount, currency from attempt
                         where attempt.payment = p.id
                         order by created_at desc limit 1) a on a.gateway = $1
          join {_ARRIVED}
         where p.status = 'SUCCESS' and p.updated_at >= $2
           and p.completed_at >= $2 and p.completed_at < $3
           and not exists (select from settlement_line l
                            where l.reference = a.reference and l.gateway = $1
                              and l.kind = 'PAYMENT')
         union all
        select 'REFUND', r.attempt, r.completed_at, r.payment, r.id, coalesce(r.share, r.amount),
               coalesce(r.share_currency, r.currency)
          from reversal r
         where r.kind = 'REFUND' and r.status = 'DONE' and r.gateway = $1
           and r.completed_at >= $2 and r.completed_at < $3
           and not exists (select from settlement_line l where l.reversal = r.id)
         order by at
        """,
        gateway,
        begin,
        end,
        CLEARING[gateway],
    )
    return [
        ReconciliationLine(
            settlement_id=settlement_id,
            kind=LineKind(row["kind"]),
            reference=row["reference"],
            gateway_id=None,
            day=business_date(row["at"]),
            at=None,
            reported_amount=None,
            own_amount=row["amount"],
            currency=Currency(row["currency"]),
            result=SettlementResult.OURS_ONLY,
            payment_id=row["payment"],
            reversal_id=row["reversal"],
            case_id=None,
        )
        for row in rows
    ]


def _our_payment(row: Row) -> OurPayment:
    arrived = row["arrived"]
    return OurPayment(
        payment_id=row["id"],
        status=PaymentStatus(row["status"]),
        requested=Money(row["requested"], Currency(row["currency"])),
        arrived=None if arrived is None else Money(arrived, Currency(row["arrived_in"])),
        paid_under=tuple(row["paid_under"]),
        explained_by=row["explained_by"],
        paid_twice=row["paid_twice"],
    )
