"""Attempts: each try at taking a payment's money through one gateway."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.engine import Row, execute, fetch, fetchval
from domain.attempts import Attempt, AttemptStatus, Failure
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import GatewayResult

# Prefixed, because a row holds them beside their payment's columns.
COLUMNS = ", ".join(
    f"a.{name} as a_{name}"
    for name in [
        "reference",
        "gateway",
        "status",
        "amount",
        "currency",
        "created_at",
        "expires_at",
        "sent_at",
        "answered_at",
        "gateway_id",
        "payment_url",
        "qr_payload",
        "failure_code",
        "failure_message",
        "inquiries",
        "inquired_at",
        "last_result",
        "paid_under",
        "claimed_at",
    ]
)


async def add(attempt: Attempt) -> None:
    await execute(
        """
        insert into attempt (reference, payment, gateway, status, amount, currency, created_at,
                             expires_at, inquiries, paid_under)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 0, '{}')
        """,
        attempt.reference,
        attempt.payment_id,
        attempt.gateway,
        attempt.status,
        attempt.money.amount,
        attempt.money.currency,
        attempt.created_at,
        attempt.expires_at,
    )


async def save(attempt: Attempt) -> None:
    await execute(
        """
        update attempt
           set status = $2, sent_at = $3, answered_at = $4, gateway_id = $5, payment_url = $6,
               qr_payload = $7, failure_code = $8, failure_message = $9, paid_under = $10
         where reference = $1
        """,
        attempt.reference,
        attempt.status,
        attempt.sent_at,
        attempt.answered_at,
        attempt.gateway_id,
        attempt.payment_url,
        attempt.qr_payload,
        attempt.failure.code if attempt.failure else None,
        attempt.failure.message if attempt.failure else None,
        attempt.paid_under,
    )


async def payment_of(reference: str, gateway: GatewayName | None = None) -> str | None:
    """Return the id of the payment of *reference*; None where *gateway*, if given, has none."""
    return await fetchval(
        "select payment from attempt where reference = $1 and gateway = coalesce($2, gateway)",
        reference,
        gateway,
    )


async def claim_inquiry(reference: str, *, now: datetime, not_after: datetime) -> bool:
    """
    Claim the next inquiry of *reference*; False where one was claimed after *not_after*.

    One conditional update decides, so concurrent callers stay within the gateway's quota. The last
    result is cleared, because it is unknown until the inquiry is answered.
    """
    return (
        await fetchval(
            """
            update attempt set inquired_at = $2, inquiries = inquiries + 1, last_result = null
             where reference = $1 and (inquired_at is null or inquired_at <= $3)
            returning 1
            """,
            reference,
            now,
            not_after,
        )
        is not None
    )


async def last_result(reference: str) -> GatewayResult | None:
    """Return the result of the last inquiry; None while it is not answered."""
    result = await fetchval("select last_result from attempt where reference = $1", reference)
    return None if result is None else GatewayResult(result)


async def note_claim(reference: str, now: datetime) -> None:
    """Note when an unproven source first reported *reference* as paid."""
    await execute(
        "update attempt set claimed_at = $2 where reference = $1 and claimed_at is null",
        reference,
        now,
    )


async def drop_claim(reference: str) -> bool:
    """Clear the time of the unproven report; False where it was clear."""
    cleared = await fetchval(
        """
        update attempt set claimed_at = null
         where reference = $1 and claimed_at is not null
        returning 1
        """,
        reference,
    )
    return cleared is not None


async def record_result(reference: str, result: GatewayResult) -> None:
    """Note the last inquiry's result, which counts until the quota allows another inquiry."""
    await execute("update attempt set last_result = $2 where reference = $1", reference, result)


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Attempt]]:
    """Return each payment's attempts, oldest first."""
    rows = await fetch(
        f"""
        select a.payment as id, {COLUMNS} from attempt a
         where a.payment = any($1) order by a.created_at, a.reference
        """,
        payment_ids,
    )
    attempts: dict[str, list[Attempt]] = {}
    for row in rows:
        if (attempt := from_row(row)) is not None:
            attempts.setdefault(attempt.payment_id, []).append(attempt)
    return attempts


def from_row(row: Row) -> Attempt | None:
    """Return the attempt in a row with `COLUMNS`; None where the row has none."""
    if row["a_reference"] is None:
        return None
    return Attempt(
        reference=row["a_reference"],
        payment_id=row["id"],
        gateway=GatewayName(row["a_gateway"]),
        status=AttemptStatus(row["a_status"]),
        money=Money(row["a_amount"], Currency(row["a_currency"])),
        created_at=row["a_created_at"],
        expires_at=row["a_expires_at"],
        sent_at=row["a_sent_at"],
        answered_at=row["a_answered_at"],
        gateway_id=row["a_gateway_id"],
        payment_url=row["a_payment_url"],
        qr_payload=row["a_qr_payload"],
        failure=(
            Failure(code=row["a_failure_code"], message=row["a_failure_message"])
            if row["a_failure_code"]
            else None
        ),
        inquiries=row["a_inquiries"],
        inquired_at=row["a_inquired_at"],
        paid_under=tuple(row["a_paid_under"]),
        claimed_at=row["a_claimed_at"],
    )
