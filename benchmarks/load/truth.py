"""Whether database, outer systems and clients agree after a load, payment by payment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.engine import connected
from benchmarks.load.figures import Intent

Row = Mapping[str, Any]

_PAYMENTS = """
select p.id, p.status, p.method, p.amount, p.contract_number, p.hold_reason, k.key,
       coalesce((select json_agg(a.reference) from attempt a where a.payment = p.id), '[]')::text
           as refs
  from payment p
  left join idempotency_key k on k.subject_id = p.id and k.operation = 'processPayment'
"""
_PAID_TWICE = """
select i.item_id from payment_item i join payment p on p.id = i.payment
 where p.status = 'SUCCESS' group by i.contract_number, i.type, i.item_id having count(*) > 1
"""
_WRONGLY_POSTED = """
select p.id from payment p left join entry e on e.payment = p.id and e.reversal is null
  left join posting g on g.entry = e.id and g.credit = 'customer_receivable'
 where p.status = 'SUCCESS' group by p.id, p.amount
having count(g) <> 1 or coalesce(sum(g.amount), 0) <> p.amount
"""
_BY_KEY = "select count(*) from idempotency_key where key = any($1::text[])"
_OPEN = """
select count(*) from payment
 where status in ('PENDING', 'PROCESSING') and id = any($1::text[])
"""
_JOBS = """
select count(*) from pgqueuer
 where status in ('queued', 'picked') and entrypoint not like '%follow_up%'
"""


async def unfinished(url: str, intents: Sequence[Intent]) -> tuple[int, int]:
    """Return the number of open payments that customers have paid, and of jobs left."""
    paid = [intent.payment_id for intent in intents if intent.paid_by_customer]
    async with connected(url) as connection:
        return await connection.fetchval(_OPEN, paid), await connection.fetchval(_JOBS)


async def violations(url: str, truth: Row, intents: Sequence[Intent]) -> list[str]:
    """Return every disagreement between the database, the sandbox and the clients' answers."""
    async with connected(url) as connection:
        payments: dict[str, Row] = {row["id"]: row for row in await connection.fetch(_PAYMENTS)}
        twice = [row["item_id"] for row in await connection.fetch(_PAID_TWICE)]
        unposted = [row["id"] for row in await connection.fetch(_WRONGLY_POSTED)]
    return [
        *(f"bill {each} is paid twice" for each in twice),
        *(f"{each} is not posted exactly once with its full amount" for each in unposted),
        *disagreements(payments, truth, intents),
    ]


def disagreements(payments: Mapping[str, Row], truth: Row, intents: Sequence[Intent]) -> list[str]:
    """Return where the payments, by id, differ from what clients and outer systems know."""
    return [
        *_against_clients(payments, intents),
        *_against_gateways(payments, truth["charges"]),
        *_against_systems(payments, truth),
    ]


async def found_without_an_answer(url: str, intents: Sequence[Intent]) -> int:
    """Return how many payments exist whose client got no answer."""
    keys = [intent.key for intent in intents if intent.payment_id is None]
    async with connected(url) as connection:
        return await connection.fetchval(_BY_KEY, keys)


def _against_clients(payments: Mapping[str, Row], intents: Sequence[Intent]) -> Iterator[str]:
    """Check that a key has at most one payment, and that answered payments exist as answered."""
    by_key = Counter(row["key"] for row in payments.values() if row["key"])
    yield from (
        f"key {key} stands for {count} payments" for key, count in by_key.items() if count > 1
    )
    known_keys = {intent.key for intent in intents}
    yield from (
        f"{row['id']} was made without a client's request"
        for row in payments.values()
        if row["key"] not in known_keys
    )
    for intent in intents:
        if intent.payment_id is None:
            continue
        payment = payments.get(intent.payment_id)
        if payment is None:
            yield f"{intent.payment_id} was answered but does not exist"
        elif payment["amount"] != intent.amount:
            yield f"{intent.payment_id} is of {payment['amount']} and was {intent.amount}"
        elif intent.method == "CASH" and payment["status"] != "SUCCESS":
            yield f"{intent.payment_id} was taken in cash and is {payment['status']}"
        elif intent.paid_by_customer and payment["status"] != "SUCCESS":
            yield f"{intent.payment_id} was paid by its customer and is {payment['status']}"


def _against_gateways(payments: Mapping[str, Row], charges: Sequence[Row]) -> Iterator[str]:
    """Check that each paid charge belongs to one successful payment, and the reverse."""
    by_reference = {reference: row for row in payments.values() for reference in _references(row)}
    taken: Counter[str] = Counter()
    for charge in charges:
        payment = by_reference.get(charge["reference"])
        if charge["status"] != "paid":
            continue
        if payment is None:
            yield f"charge {charge['reference']} was paid and belongs to no payment"
        elif payment["status"] != "SUCCESS":
            yield f"{payment['id']} is {payment['status']} and its gateway took {charge['amount']}"
        else:
            taken[payment["id"]] += 1
            if charge["currency"] == "VND" and charge["amount"] != payment["amount"]:
                yield (
                    f"{payment['id']} is of {payment['amount']},"
                    f" its gateway took {charge['amount']}"
                )
    for payment in payments.values():
        expected = payment["status"] == "SUCCESS" and payment["method"] != "CASH"
        if expected and taken[payment["id"]] != 1:
            yield f"{payment['id']} is SUCCESS and was taken {taken[payment['id']]} times"


def _references(row: Row) -> list[str]:
    return [each.strip(' "') for each in row["refs"].strip("[]").split(",") if each.strip()]


def _against_systems(payments: Mapping[str, Row], truth: Row) -> Iterator[str]:
    """Check that Revenue and Debt have each success once, and no message was sent twice."""
    for system in ("records", "debts"):
        known: Counter[str] = Counter()
        for effect in truth[system]:
            known[effect["transaction_id"]] += effect["times"]
        for payment in payments.values():
            expected = int(
                payment["status"] == "SUCCESS" and payment["contract_number"].startswith("SGFDN")
            )
            if known[payment["id"]] != expected:
                yield (
                    f"{payment['id']} is {payment['status']} and is in {system}"
                    f" {known[payment['id']]} times"
                )
        yield from (
            f"{each} is in {system} but not in the database" for each in known - _ids(payments)
        )
    messages: Counter[str] = Counter()
    for message in truth["messages"]:
        messages[message["transaction_id"]] += message["times"]
    yield from (f"{each}: {count} messages" for each, count in messages.items() if count > 1)
    yield from (f"{each['system']}: {each['detail']}" for each in truth["conflicts"])


def _ids(payments: Mapping[str, Row]) -> Counter[str]:
    return Counter(dict.fromkeys(payments, 1 << 30))
