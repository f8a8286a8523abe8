"""MoMo's AIO v2 as documented: required fields, signatures, and result codes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MESSAGES = {
    0: "Successful.",
    11: "Access denied.",
    13: "Merchant authentication failed.",
    20: "Bad format request.",
    21: "Request is rejected because of invalid transaction amount.",
    22: "The transaction amount is out of range.",
    40: "Duplicated requestId.",
    41: "Duplicated orderId.",
    42: "Invalid orderId or orderId is not found.",
    99: "Unknown error.",
    1000: "Transaction is initiated, waiting for user confirmation.",
    1001: "Transaction failed due to insufficient funds.",
    1004: "Transaction failed because the amount exceeds the daily/monthly payment limit.",
    1005: "Transaction failed because the url or QR code expired.",
    1006: "Transaction failed because user has denied to confirm the payment.",
    1081: "Refund transaction rejected. The original transaction might have been refunded.",
    1088: "Refund transaction rejected. The original transaction is not eligible to be refunded.",
    7000: "Transaction is being processed.",
    9000: "Transaction is authorized successfully.",
}

# Every request has these. Both sides know the access key; no request contains it.
COMMON = {"partnerCode": r".{1,50}", "requestId": r".{1,50}"}
ORDER = r"[0-9a-zA-Z]([-_.]*[0-9a-zA-Z]+)*"
ADDRESS = r"https?://[!-~]{1,500}"
CREATE = {
    **COMMON,
    "orderId": ORDER,
    "orderInfo": r"(?s).{1,255}",
    "redirectUrl": ADDRESS,
    # MoMo calls no address that has a query string or unusual characters.
    "ipnUrl": r"https?://[A-Za-z0-9.:/_-]{1,500}",
    "requestType": r"captureWallet",
    "extraData": r"[A-Za-z0-9+/=]{0,1000}",
    "lang": r"vi|en",
}
QUERY = {**COMMON, "orderId": ORDER, "lang": r"vi|en"}
REFUND = {**QUERY, "description": r".{0,255}"}
SIGNED = {
    "create": (*CREATE.keys() - {"lang"}, "amount", "accessKey"),
    "query": (*QUERY.keys() - {"lang"}, "accessKey"),
    "refund": (*REFUND.keys() - {"lang"}, "amount", "transId", "accessKey"),
    "ipn": (
        *("accessKey", "amount", "extraData", "message", "orderId", "orderInfo", "orderType"),
        *("partnerCode", "payType", "requestId", "responseTime", "resultCode", "transId"),
    ),
}
SMALLEST, LARGEST = 1_000, 50_000_000


class Rejected(Exception):
    """A request that MoMo answers with a result code of its own."""

    def __init__(self, code: int, about: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.message = MESSAGES[code] + (f" {about}" if about else "")
        self.status = status


def canonical(fields: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return the signed text: unescaped `name=value` pairs in alphabetical order."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(names))


def sign(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def signed_by_one_of(keys: Sequence[bytes], text: str, signature: str) -> bool:
    matches = [hmac.compare_digest(sign(key, text).encode(), signature.encode()) for key in keys]
    return any(matches)


def check_fields(fields: Mapping[str, Any], shapes: Mapping[str, str]) -> None:
    for name, shape in shapes.items():
        value = fields.get(name)
        if not isinstance(value, str) or not re.fullmatch(shape, value):
            raise Rejected(20, name)
    if len(fields.get("orderId", "")) > 200:
        raise Rejected(20, "orderId")


def check_amount(amount: object) -> int:
    """Return the amount. Raises Rejected unless it is whole đồng from 1,000 to 50,000,000."""
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise Rejected(21)
    if not SMALLEST <= amount <= LARGEST:
        raise Rejected(22)
    return amount
