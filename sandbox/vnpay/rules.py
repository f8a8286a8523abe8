"""VNPay's formats: signatures, required fields with their patterns, response codes and messages."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote_plus

from sandbox import clock

MESSAGES = {
    "00": "Success",
    "02": "Merchant khong hop le (kiem tra lai vnp_TmnCode)",
    "03": "Du lieu gui sang khong dung dinh dang",
    "04": "Khong cho phep hoan tra toan phan sau khi hoan tra mot phan",
    "11": "Giao dich da het han cho thanh toan",
    "16": "Khong thuc hien duoc giao dich trong thoi gian nay",
    "91": "Khong tim thay giao dich yeu cau",
    "93": "So tien khong hop le",
    "94": "Yeu cau bi trung lap trong thoi gian gioi han cua API",
    "95": "Giao dich khong thanh cong ben VNPAY, VNPAY tu choi xu ly yeu cau",
    "97": "Chu ky khong hop le (checksum khong hop le)",
    "99": "Cac loi khac",
}

AMOUNT = r"[0-9]{1,12}"
DATE = r"[0-9]{14}"
ADDRESS = r"[0-9A-Fa-f:.]{7,45}"
# No accents, and no characters that encoders treat differently or that pages must escape.
TEXT = r"[A-Za-z0-9 .,:_#/()+-]{1,255}"
REFERENCE = r"[A-Za-z0-9._-]{1,100}"
REQUEST = r"[A-Za-z0-9]{1,32}"
TERMINAL = r"[A-Za-z0-9]{8}"

# pay and genqr: the required fields, and the optional ones.
PAYMENT = {
    "vnp_Version": r"2\.1\.0",
    "vnp_Command": r"pay|genqr",
    "vnp_TmnCode": TERMINAL,
    "vnp_Amount": AMOUNT,
    "vnp_CreateDate": DATE,
    "vnp_CurrCode": r"VND",
    "vnp_IpAddr": ADDRESS,
    "vnp_Locale": r"vn|en",
    "vnp_OrderInfo": TEXT,
    "vnp_OrderType": r"[A-Za-z0-9]{1,100}",
    "vnp_ReturnUrl": r"https?://[!-~]{3,248}",
    "vnp_ExpireDate": DATE,
    "vnp_TxnRef": REFERENCE,
}
PAYMENT_OPTIONAL = {"vnp_BankCode": r"[A-Za-z0-9]{3,20}"}

QUERY = {
    "vnp_RequestId": REQUEST,
    "vnp_Version": r"2\.1\.0",
    "vnp_Command": r"querydr",
    "vnp_TmnCode": TERMINAL,
    "vnp_TxnRef": REFERENCE,
    "vnp_TransactionDate": DATE,
    "vnp_CreateDate": DATE,
    "vnp_IpAddr": ADDRESS,
    "vnp_OrderInfo": TEXT,
}
REFUND = {
    "vnp_RequestId": REQUEST,
    "vnp_Version": r"2\.1\.0",
    "vnp_Command": r"refund",
    "vnp_TmnCode": TERMINAL,
    "vnp_TransactionType": r"02|03",
    "vnp_TxnRef": REFERENCE,
    "vnp_Amount": AMOUNT,
    "vnp_TransactionNo": r"[0-9]{1,15}",
    "vnp_TransactionDate": DATE,
    "vnp_CreateBy": r"[A-Za-z0-9 ._@-]{1,245}",
    "vnp_CreateDate": DATE,
    "vnp_IpAddr": ADDRESS,
    "vnp_OrderInfo": TEXT,
}
QUERY_OPTIONAL = {"vnp_TransactionNo": r"[0-9]{1,15}"}

# The signed fields of the answers, in order; the requests' fields above are in order too.
QUERY_ANSWER = [
    "vnp_ResponseId",
    "vnp_Command",
    "vnp_ResponseCode",
    "vnp_Message",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_BankCode",
    "vnp_PayDate",
    "vnp_TransactionNo",
    "vnp_TransactionType",
    "vnp_TransactionStatus",
    "vnp_OrderInfo",
    "vnp_PromotionCode",
    "vnp_PromotionAmount",
]
REFUND_ANSWER = QUERY_ANSWER[:-2]


class Rejected(Exception):
    """A request that VNPay answers with a response code of its own."""

    def __init__(self, code: str, about: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = MESSAGES[code] + (f": {about}" if about else "")


def canonical(fields: Mapping[str, str]) -> str:
    """Return the signed query: form-encoded and sorted, without empty fields and signatures."""
    return "&".join(
        f"{quote_plus(name)}={quote_plus(fields[name])}"
        for name in sorted(fields)
        if name.startswith("vnp_")
        and name not in ("vnp_SecureHash", "vnp_SecureHashType")
        and fields[name] != ""
    )


def piped(fields: Mapping[str, str], order: Iterable[str]) -> str:
    return "|".join(fields.get(name, "") for name in order)


def sign(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha512).hexdigest()


def signed_by_one_of(secrets: Sequence[bytes], text: str, signature: str) -> bool:
    presented = signature.lower().encode()
    matches = [hmac.compare_digest(sign(secret, text).encode(), presented) for secret in secrets]
    return any(matches)


def check_fields(
    fields: Mapping[str, str], required: Mapping[str, str], optional: Mapping[str, str]
) -> None:
    for name, shape in (*required.items(), *optional.items()):
        value = fields.get(name, "")
        if value == "" and name in optional:
            continue
        if not re.fullmatch(shape, value):
            raise Rejected("03", name)
    for name in ("vnp_CreateDate", "vnp_ExpireDate", "vnp_TransactionDate"):
        if name in required and clock.read_compact(fields[name]) is None:
            raise Rejected("03", name)


def whole_vnd(hundredths: str) -> int:
    """
    Return whole đồng from VNPay's hundredths.

    Raises Rejected where the amount is zero or not whole.
    """
    amount, cents = divmod(int(hundredths), 100)
    if cents or amount == 0:
        raise Rejected("93", "vnp_Amount")
    return amount
