"""Receipts: the signed record of a payment, for anyone who has the receipt's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db import payments, receipts, reversals
from domain.ledger import Account
from domain.payments import Payment
from domain.receipts import Record, Signature, payload
from domain.refusals import NotFound
from domain.sentences import Noun
from integrations.keys import ALGORITHM, encode
from resolvers.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A payment with its signature; `given_back` is the sum reversed after it was signed."""

    payment: Payment
    signature: Signature
    given_back: int = 0


async def receipt(context: Context, token: str) -> Receipt:
    """Return the receipt that an unguessable *token* opens. Raises NotFound."""
    payment = await payments.by_receipt(token) if token.isprintable() else None
    if payment is None:
        raise NotFound.of(Noun.RECEIPT, id=token[:8] + "…")
    (signature,) = await signatures(context, [payment])
    given_back = await reversals.reversed_sum(payment.id, Account.CUSTOMER_RECEIVABLE)
    return Receipt(payment=payment, signature=signature, given_back=given_back)


async def signatures(context: Context, shown: Sequence[Payment]) -> list[Signature]:
    """
    Return our signature over each payment, in their order.

    A final payment has the one that was made when it became final. An open payment is signed as
    it is now; its text says that it is open.
    """
    final_ids = [payment.id for payment in shown if payment.is_final]
    records = await receipts.latest(final_ids) if final_ids else {}
    return [
        _signature(records[payment.id])
        if payment.is_final and payment.id in records
        else _signature(sign(context, payment, payment.updated_at))
        for payment in shown
    ]


def sign(context: Context, payment: Payment, at: datetime) -> Record:
    """Return the signed record of the payment as it is."""
    key = context.keys.receipts.signing
    text = payload(payment)
    return Record(
        payment_id=payment.id,
        version=payment.version,
        payload=text,
        key_id=key.id,
        signature=key.sign(text.encode()),
        signed_at=at,
    )


def _signature(record: Record) -> Signature:
    return Signature(
        algorithm=ALGORITHM,
        key_id=record.key_id,
        value=encode(record.signature),
        payload=record.payload,
    )
