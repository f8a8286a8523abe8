"""The unsigned fields of VNPay's requests: a payment, and an inquiry about it."""

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
    """Return the fields that start a payment by QR, `shown_by_us` or on VNPay's page."""
    command = {"vnp_Command": "genqr"}
    if not shown_by_us:
        command = {"vnp_Command": "pay", "vnp_BankCode": "VNPAYQR"}
    address = purchase.client_ip
    return command | {
        "vnp_Version": protocol.VERSION,
        "vnp_TmnCode": terminal,
        "vnp_Amount": protocol.format_amount(attempt.money),
        "vnp_CreateDate": protocol.format_date(_request_date(attempt)),
        "vnp_CurrCode": "VND",
        "vnp_IpAddr": address if _ADDRESS.fullmatch(address) else protocol.NO_CLIENT_IP,
        "vnp_Locale": "vn",
        "vnp_OrderInfo": plain(purchase.description, 255) or attempt.reference,
        "vnp_OrderType": "other",
        "vnp_ReturnUrl": purchase.return_url,
        "vnp_ExpireDate": protocol.format_date(attempt.expires_at),
        "vnp_TxnRef": attempt.reference,
    }


def query(attempt: Attempt, *, terminal: str, now: datetime) -> dict[str, str]:
    """Return the fields of an inquiry. Its id depends on *now*, so it is unique."""
    seed = f"{attempt.reference} {now.isoformat()}".encode()
    return {
        "vnp_RequestId": hashlib.blake2b(seed, digest_size=16).hexdigest(),
        "vnp_Version": protocol.VERSION,
        "vnp_Command": "querydr",
        "vnp_TmnCode": terminal,
        "vnp_TxnRef": attempt.reference,
        "vnp_OrderInfo": f"Truy van GD {attempt.reference}",
        "vnp_TransactionDate": protocol.format_date(_request_date(attempt)),
        "vnp_CreateDate": protocol.format_date(now),
        "vnp_IpAddr": protocol.NO_CLIENT_IP,
    }


def _request_date(attempt: Attempt) -> datetime:
    """Return the vnp_CreateDate of the payment's request, which every inquiry repeats."""
    return attempt.sent_at or attempt.created_at
