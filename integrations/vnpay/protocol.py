"""VNPay's protocol 2.1.0: signed texts, dates, amounts and response codes."""

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
from integrations.amounts import whole_number
from integrations.http.failures import Unreadable
from integrations.http.json_text import RawNumber, decode
from integrations.http.webhooks import any_signature_matches

VERSION = "2.1.0"
NO_CLIENT_IP = "127.0.0.1"  # for requests that no customer makes

QUERY_FIELDS = (
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
QUERY_ANSWER_FIELDS = (
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

REFUND_FIELDS = (
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
REFUND_ANSWER_FIELDS = QUERY_ANSWER_FIELDS[:-2]

_UNSIGNED = frozenset({"vnp_SecureHash", "vnp_SecureHashType"})
LARGEST_AMOUNT = 10**12 // 100 - 1  # VND: VNPay takes twelve digits of hundredths

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
_OTHER_REFUND_SENTENCE = "VNPAY từ chối hoàn tiền. Hãy liên hệ VNPAY trước khi tạo yêu cầu mới."
_OTHER_SENTENCE = "VNPAY từ chối giao dịch. Hãy tạo lại mã QR hoặc dùng phương thức khác."


def signed_query_text(fields: Mapping[str, str]) -> str:
    """Return the query to sign: sorted, form-encoded, without empty values and signatures."""
    return "&".join(
        f"{_encode(name)}={_encode(value)}"
        for name, value in sorted(fields.items())
        if value and name not in _UNSIGNED
    )


def signed_pipe_text(fields: Mapping[str, str], order: Sequence[str]) -> str:
    """Return the raw values in *order*, joined by pipes. An absent value counts as empty."""
    return "|".join(fields.get(name, "") for name in order)


def parse_fields(body: bytes) -> dict[str, str]:
    """Return the members of an answer as the texts that are signed. Raises Unreadable."""
    try:
        value = decode(body)
    except ValueError:
        raise Unreadable("body: json_invalid") from None
    if not isinstance(value, dict):
        raise Unreadable("body: not an object")
    return {
        name: "" if member is None else str(member)
        for name, member in cast("dict[str, object]", value).items()
        if member is None or type(member) in {str, int, RawNumber}
    }


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()


def is_signed(secrets: Sequence[str], text: str, signature: str) -> bool:
    """Return whether one of *secrets* made *signature*."""
    return any_signature_matches((sign(secret, text) for secret in secrets), [signature])


def format_date(moment: datetime) -> str:
    """Return `yyyyMMddHHmmss` in Vietnam."""
    return f"{local(moment):%Y%m%d%H%M%S}"


def format_amount(money: Money) -> str:
    """Return the amount in hundredths of a đồng, VNPay's unit."""
    return str(money.amount * 100)


def parse_amount(hundredths: str) -> int | None:
    """Return the amount in đồng; None if it is no whole number of them."""
    number = whole_number(hundredths)
    if number is None or number % 100 or number // 100 > LARGEST_AMOUNT:
        return None
    return number // 100


def transaction_number(fields: Mapping[str, str]) -> str | None:
    """Return VNPay's number of a payment or refund; None for an absent number or zero."""
    number = fields.get("vnp_TransactionNo", "")
    return number if number.strip("0") else None


def event_result(response: str, status: str) -> GatewayResult:
    """
    Return what `vnp_ResponseCode` and `vnp_TransactionStatus` of an IPN say together.

    PAID needs 00 in both, DECLINED needs VNPay's own status 02. Contradicting or undocumented codes
    are UNKNOWN. domain/payment_decisions.py holds a SUSPICIOUS payment for two people.
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


_INQUIRY_RESULTS = {
    "00": GatewayResult.PAID,
    "01": GatewayResult.UNPAID,
    "02": GatewayResult.DECLINED,
    "04": GatewayResult.SUSPICIOUS,
    "07": GatewayResult.SUSPICIOUS,
}
_REFUND_RESULTS = {
    "00": GatewayResult.PAID,
    "05": GatewayResult.PAID,
    "06": GatewayResult.PAID,
    "02": GatewayResult.DECLINED,
    "09": GatewayResult.DECLINED,  # the bank rejected it
}


def inquiry_result(status: str) -> GatewayResult:
    """Return what `vnp_TransactionStatus` alone says in an answer to our inquiry."""
    return _INQUIRY_RESULTS.get(status, GatewayResult.UNKNOWN)


def refund_result(status: str) -> GatewayResult:
    """Return what `vnp_TransactionStatus` says of a refund that VNPay has."""
    return _REFUND_RESULTS.get(status, GatewayResult.UNKNOWN)


def refund_failure(code: str) -> Failure:
    return Failure(code=code, message=_REFUND_SENTENCES.get(code, _OTHER_REFUND_SENTENCE))


def failure(code: str) -> Failure:
    return Failure(code=code, message=_SENTENCES.get(code, _OTHER_SENTENCE))


def _encode(text: str) -> str:
    # PHP, Java and browsers encode the tilde, Python doesn't.
    return quote_plus(text).replace("~", "%7E")
