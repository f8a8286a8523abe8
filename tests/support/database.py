"""Add rows that a test needs to the database, through the modules of db/."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace
from typing import Any

from db import attempts, bills, ledger, payments, staff
from db.transaction import transaction
from domain.attempts import Attempt, AttemptStatus
from domain.bills import Item
from domain.ledger import collected
from domain.methods import GATEWAY_OF, PaymentMethod
from domain.payments import Payment, PaymentStatus
from domain.staff import Role, Staff
from tests.support.builders import NOW, a_payment, an_attempt, bill_item

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """Return an id that no other test has."""
    return f"{prefix}{next(_numbers)}{secrets.token_hex(4)}".upper()


async def add_collector(staff_id: str | None = None, *, team: str | None = "HCM1") -> Staff:
    """Add a collector and return them."""
    collector = Staff(
        staff_id=staff_id or unique("NV"), name="Le Van Cuong", role=Role.TIN_PNC, team=team
    )
    await staff.upsert(collector, NOW)
    return collector


async def add_payment(
    status: PaymentStatus = PaymentStatus.PROCESSING,
    *,
    method: PaymentMethod = PaymentMethod.VNPAY_QR,
    collector: Staff | None = None,
    items: tuple[Item, ...] | None = None,
    attempt: AttemptStatus = AttemptStatus.ACCEPTED,
    **fields: Any,
) -> Payment:
    """Add a payment with its collector, items and attempt, and with the postings of a success."""
    collector = collector or await add_collector()
    payment_id = unique("TXN_")
    gateway = GATEWAY_OF[method]
    payment_attempt: Attempt | None = None
    if gateway is not None:
        payment_attempt = an_attempt(
            attempt, reference=unique("MB"), payment_id=payment_id, gateway=gateway
        )
    payment = a_payment(
        status,
        method=method,
        **{
            "id": payment_id,
            "contract_number": unique("C"),
            "receipt_token": secrets.token_urlsafe(20),
            "items": (bill_item(unique("U")),) if items is None else items,
            "staff_id": collector.staff_id,
            "staff_name": collector.name,
            "team": collector.team,
            "attempt": payment_attempt,
        }
        | fields,
    )
    async with transaction():
        assert await payments.add(payment)
        if payment_attempt is not None:
            await attempts.add(payment_attempt)
            await attempts.save(payment_attempt)
        if status is PaymentStatus.SUCCESS:
            await ledger.post_and_audit(
                "SUCCESS", collected(payment, payment.money), NOW, payment_id=payment.id
            )
        elif payment.is_final:
            await bills.release(payment)
    return payment


async def save_payment(payment: Payment, **changes: Any) -> None:
    """Write the payment with *changes* and the next version."""
    async with transaction():
        await payments.save(replace(payment, version=payment.version + 1, **changes))
