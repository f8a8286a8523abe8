"""Puts what a test is about into the database, by the same modules that the house uses."""

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
    return f"{prefix}{next(_numbers)}{secrets.token_hex(4)}".upper()


async def a_collector(staff_id: str | None = None, *, team: str | None = "HCM1") -> Staff:
    somebody = Staff(
        staff_id=staff_id or unique("NV"), name="Le Van Cuong", role=Role.TIN_PNC, team=team
    )
    await staff.learn(somebody, NOW)
    return somebody


async def a_kept_payment(
    status: PaymentStatus = PaymentStatus.PROCESSING,
    *,
    method: PaymentMethod = PaymentMethod.VNPAY_QR,
    collector: Staff | None = None,
    items: tuple[Item, ...] | None = None,
    attempt: AttemptStatus = AttemptStatus.ACCEPTED,
    **but: Any,
) -> Payment:
    """Keep a payment whole: its collector, items, attempt, and the postings of a success."""
    by = collector or await a_collector()
    payment_id = unique("TXN_")
    gateway = GATEWAY_OF[method]
    conversation: Attempt | None = None
    if gateway is not None:
        conversation = an_attempt(
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
            "staff_id": by.staff_id,
            "staff_name": by.name,
            "team": by.team,
            "attempt": conversation,
        }
        | but,
    )
    async with transaction():
        await payments.add(payment)
        assert await bills.lock(payment)
        if conversation is not None:
            await attempts.add(conversation)
            await attempts.save(conversation)
        if status is PaymentStatus.SUCCESS:
            await ledger.post_and_audit(
                "SUCCESS", collected(payment, payment.money), NOW, payment_id=payment.id
            )
        elif payment.is_final:
            await bills.release(payment)
    return payment


async def save(payment: Payment, **changes: Any) -> None:
    """Write the payment with *changes*, as a decision would: one version on."""
    async with transaction():
        await payments.save(replace(payment, version=payment.version + 1, **changes))
