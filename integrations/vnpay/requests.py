"""What VNPay is asked for, unsigned: a payment, and what became of one."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from domain.attempts import Attempt
from domain.gateways import Purchase
from integrations.text import plain
from integrations.vnpay import protocol

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{7,45}", re.ASCII)


def payment(
    attempt: Attempt, purchase: Purchase, *, terminal: str, shown_by_us: bool
) -> dict[str, str]:
    """Return what begins a payment by a QR: `shown_by_us`, or on VNPay's own page."""
    how = {"vnp_Command": "genqr"}
    if not shown_by_us:
        how = {"vnp_Command": "pay", "vnp_BankCode": "VNPAYQR"}
    address = purchase.client_ip
    return how | {
        "vnp_Version": protocol.VERSION,
        "vnp_TmnCode": terminal,
        "vnp_Amount": protocol.to_wire(attempt.money),
        "vnp_CreateDate": protocol.date14(_request_date(attempt)),
        "vnp_CurrCode": "VND",
        "vnp_IpAddr": address if _ADDRESS.fullmatch(address) else protocol.NOBODY,
        "vnp_Locale": "vn",
        "vnp_OrderInfo": plain(purchase.description, 255) or attempt.reference,
        "vnp_OrderType": "other",
        "vnp_ReturnUrl": purchase.return_url,
        "vnp_ExpireDate": protocol.date14(attempt.expires_at),
        "vnp_TxnRef": attempt.reference,
    }


def query(attempt: Attempt, *, terminal: str, now: datetime) -> dict[str, str]:
    """Return the question about an attempt; its id is new with every moment."""
    asked_at = f"{attempt.reference} {now.isoformat()}".encode()
    return {
        "vnp_RequestId": hashlib.blake2b(asked_at, digest_size=16).hexdigest(),
        "vnp_Version": protocol.VERSION,
        "vnp_Command": "querydr",
        "vnp_TmnCode": terminal,
        "vnp_TxnRef": attempt.reference,
        "vnp_OrderInfo": f"Truy van GD {attempt.reference}",
        "vnp_TransactionDate": protocol.date14(_request_date(attempt)),
        "vnp_CreateDate": protocol.date14(now),
        "vnp_IpAddr": protocol.NOBODY,
    }


def _request_date(attempt: Attempt) -> datetime:
    """What begins a payment has as vnp_CreateDate, and every later question must repeat."""
    return attempt.sent_at or attempt.created_at
