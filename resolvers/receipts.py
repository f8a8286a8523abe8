"""Receipts: what we swear to about a payment, signed once when it is final, for anyone who has its address."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db import payments, reversals
from db import receipts as kept
from domain import receipts
from domain.ledger import Account
from domain.payments import Payment
from domain.receipts import Record, Signature
from domain.refusals import NotFound
from integrations.keys import ALGORITHM, encode
from resolvers.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """`given_back` is what has been reversed since: what was sworn to stays, and is not all the truth."""

    payment: Payment
    signature: Signature
    given_back: int = 0


async def receipt(context: Context, token: str) -> Receipt:
    """Return the receipt behind a token that can't be guessed. Raises NotFound."""
    payment = await payments.by_receipt(token) if token.isprintable() else None
    if payment is None:
        raise NotFound(what_vi="biên nhận", what_en="receipt", id=token[:8] + "…")
    (signature,) = await signatures(context, [payment])
    given_back = await reversals.given_back(payment.id, Account.CUSTOMER_RECEIVABLE)
    return Receipt(payment=payment, signature=signature, given_back=given_back)


async def signatures(context: Context, asked: Sequence[Payment]) -> list[Signature]:
    """
    Return our signature over each payment: of a final one the kept, made when it became final.

    What is still open is signed as it is now, and says so in its text.
    """
    final = [payment.id for payment in asked if payment.is_final]
    records = await kept.latest(final) if final else {}
    return [
        _shown(records[payment.id])
        if payment.is_final and payment.id in records
        else _shown(_signed(context, payment, payment.updated_at))
        for payment in asked
    ]


async def keep(context: Context, payment: Payment, now: datetime) -> str:
    """
    Swear to a payment that has just become final; return the SHA-256 of the signed text, as hex.

    In the transaction that moves it: the audit row of the move carries the hash, so that the record
    stands in the sealed chain.
    """
    record = _signed(context, payment, now)
    await kept.add(record)
    return hashlib.sha256(record.payload.encode()).hexdigest()


def _signed(context: Context, payment: Payment, at: datetime) -> Record:
    key = context.keys.receipts.signing
    text = receipts.payload(payment)
    return Record(
        payment_id=payment.id,
        version=payment.version,
        payload=text,
        key_id=key.id,
        signature=key.sign(text.encode()),
        signed_at=at,
    )


def _shown(record: Record) -> Signature:
    return Signature(
        algorithm=ALGORITHM,
        key_id=record.key_id,
        value=encode(record.signature),
        payload=record.payload,
    )
