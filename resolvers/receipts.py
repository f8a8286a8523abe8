"""Receipts: what we swear to about a payment, signed, for anyone who has its address."""

from __future__ import annotations

from dataclasses import dataclass

from db import payments
from domain import receipts
from domain.payments import Payment
from domain.receipts import Signature
from domain.refusals import NotFound
from integrations.keys import ALGORITHM, encode
from resolvers.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    payment: Payment
    signature: Signature


async def receipt(context: Context, token: str) -> Receipt:
    """Return the receipt behind a token that can't be guessed. Raises NotFound."""
    payment = await payments.by_receipt(token) if token.isprintable() else None
    if payment is None:
        raise NotFound(what_vi="biên nhận", what_en="receipt", id=token[:8] + "…")
    return Receipt(payment=payment, signature=sign(context, payment))


def sign(context: Context, payment: Payment) -> Signature:
    """Return our signature over the payment's outcome as it is now."""
    key = context.keys.receipts.signing
    text = receipts.payload(payment)
    return Signature(
        algorithm=ALGORITHM,
        key_id=key.id,
        value=encode(key.sign(text.encode())),
        payload=text,
    )
