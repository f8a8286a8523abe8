"""VNPay 2.1.0 on the wire: what is signed and how, dates, amounts, and its codes in words for people."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast
from urllib.parse import quote_plus

from domain.attempts import Failure
from domain.calendar import local
from domain.money import Money
from domain.payment_evidence import GatewayResult
from integrations.amounts import whole
from integrations.http.client import Unreadable
from integrations.http.json_text import Number, decode

VERSION = "2.1.0"
NOBODY = "127.0.0.1"  # who asks for a customer that is not there

QUERY = (
    "vnp_RequestId",
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_TransactionDate",
    "vnp_CreateDate",
    "vnp_IpAddr",
    "vnp_OrderInfo",
)
QUERY_ANSWER = (
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
)

REFUND = (
    "vnp_RequestId",
    "vnp_Version",
    "vnp_Command",
    "vnp_TmnCode",
    "vnp_TransactionType",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_TransactionNo",
    "vnp_TransactionDate",
    "vnp_CreateBy",
    "vnp_CreateDate",
    "vnp_IpAddr",
    "vnp_OrderInfo",
)
REFUND_ANSWER = QUERY_ANSWER[:-2]

_UNSIGNED = frozenset({"vnp_SecureHash", "vnp_SecureHashType"})
LARGEST_AMOUNT = 10**12 // 100 - 1  # VND: twelve digits, × 100

_SENTENCES = {
    "02": "Giao dịch không thành công tại VNPAY.",
    "09": "Thẻ hoặc tài khoản chưa đăng ký dịch vụ ngân hàng trực tuyến.",
    "10": "Khách hàng xác thực thông tin thẻ hoặc tài khoản sai quá 3 lần.",
    "11": "Đã hết hạn chờ thanh toán.",
    "12": "Thẻ hoặc tài khoản của khách hàng bị khoá.",
    "13": "Khách hàng nhập sai mật khẩu xác thực (OTP).",
    "24": "Khách hàng đã huỷ giao dịch.",
    "51": "Tài khoản của khách hàng không đủ số dư.",
    "65": "Tài khoản của khách hàng đã vượt hạn mức giao dịch trong ngày.",
    "75": "Ngân hàng thanh toán đang bảo trì.",
    "79": "Khách hàng nhập sai mật khẩu thanh toán quá số lần quy định.",
    "04": "Khách hàng đã bị trừ tiền nhưng giao dịch bị đảo tại VNPAY. Đang chờ đối soát.",
    "07": "Khách hàng đã bị trừ tiền, giao dịch bị nghi ngờ gian lận. Đang chờ kiểm tra.",
}
_REFUND_SENTENCES = {
    "04": "VNPAY không hoàn toàn phần sau khi đã hoàn một phần.",
    "13": "VNPAY chỉ cho hoàn một phần giao dịch này.",
    "16": "VNPAY chưa hoàn tiền được lúc này. Hãy tạo yêu cầu mới sau.",
    "91": "VNPAY không tìm thấy giao dịch cần hoàn.",
    "93": "VNPAY không nhận số tiền hoàn này.",
    "95": "Giao dịch gốc không thành công tại VNPAY.",
}
_NO_REFUND = "VNPAY từ chối hoàn tiền. Hãy liên hệ VNPAY trước khi tạo yêu cầu mới."
_OTHER = "VNPAY từ chối giao dịch. Hãy tạo lại mã QR hoặc dùng phương thức khác."


def canonical(fields: Mapping[str, str]) -> str:
    """Return the query that is signed: sorted, form-encoded, without empty values and signatures."""
    return "&".join(
        f"{_encode(name)}={_encode(value)}"
        for name, value in sorted(fields.items())
        if value and name not in _UNSIGNED
    )


def piped(fields: Mapping[str, str], order: Sequence[str]) -> str:
    """Return the raw values in *order*; an absent one counts as empty."""
    return "|".join(fields.get(name, "") for name in order)


def flat(body: bytes) -> dict[str, str]:
    """Return the members of an answer as the text that is signed. Raises Unreadable."""
    try:
        value = decode(body)
    except ValueError:
        raise Unreadable("body: json_invalid") from None
    if not isinstance(value, dict):
        raise Unreadable("body: not an object")
    return {
        name: "" if member is None else str(member)
        for name, member in cast("dict[str, object]", value).items()
        if member is None or type(member) in {str, int, Number}
    }


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()


def is_signed(secrets: Sequence[str], text: str, signature: str) -> bool:
    """Return whether one of *secrets* made *signature*; every one is tried, in constant time."""
    presented = signature.lower().encode()
    matches = [hmac.compare_digest(sign(secret, text).encode(), presented) for secret in secrets]
    return any(matches)


def date14(moment: datetime) -> str:
    """Return `yyyyMMddHHmmss` in Vietnam."""
    return f"{local(moment):%Y%m%d%H%M%S}"


def to_wire(money: Money) -> str:
    return str(money.amount * 100)


def from_wire(amount: str) -> int | None:
    """Return the amount in đồng; None for what is no whole number of them. Only here and above is × 100."""
    hundredths = whole(amount)
    if hundredths is None or hundredths % 100 or hundredths // 100 > LARGEST_AMOUNT:
        return None
    return hundredths // 100


def result(response: str, status: str) -> GatewayResult:
    """
    Return what `vnp_ResponseCode` and `vnp_TransactionStatus` say together.

    Both must be 00 to be paid, and VNPay's own state must be "error" (02) to be declined: codes
    that contradict each other, or that nobody told us of, are not known yet.
    """
    if {"04", "07"} & {response, status}:
        return GatewayResult.SUSPICIOUS
    match response, status:
        case "00", "00":
            return GatewayResult.PAID
        case _, "01":
            return GatewayResult.UNPAID
        case "11", "02":
            return GatewayResult.EXPIRED
        case "00", "02":
            return GatewayResult.UNKNOWN
        case _, "02":
            return GatewayResult.DECLINED
        case _:
            return GatewayResult.UNKNOWN


def state(status: str) -> GatewayResult:
    """Return what `vnp_TransactionStatus` alone says, in an answer to our own question."""
    match status:
        case "00":
            return GatewayResult.PAID
        case "01":
            return GatewayResult.UNPAID
        case "02":
            return GatewayResult.DECLINED
        case "04" | "07":
            return GatewayResult.SUSPICIOUS
        case _:
            return GatewayResult.UNKNOWN


def refund_state(status: str) -> GatewayResult:
    """Return what `vnp_TransactionStatus` says of a refund that VNPay has: 09 is rejected."""
    match status:
        case "00" | "05" | "06":
            return GatewayResult.PAID
        case "02" | "09":
            return GatewayResult.DECLINED
        case _:
            return GatewayResult.UNKNOWN


def refund_failure(code: str) -> Failure:
    return Failure(code=code, message=_REFUND_SENTENCES.get(code, _NO_REFUND))


def failure(code: str) -> Failure:
    return Failure(code=code, message=_SENTENCES.get(code, _OTHER))


def _encode(text: str) -> str:
    # PHP, Java and browsers encode the tilde, Python doesn't.
    return quote_plus(text).replace("~", "%7E")
