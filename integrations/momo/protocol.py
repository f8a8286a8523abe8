"""MoMo's protocol, AIO v2, without I/O: signed texts, amount limits and result codes."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping, Sequence

from domain.attempts import Failure
from domain.payment_evidence import GatewayResult
from integrations.amounts import raw_text
from integrations.http.webhooks import any_signature_matches

# The signed fields, in their order. The access key stands in each signed text but in no body.
CREATE_FIELDS = (
    "accessKey",
    "amount",
    "extraData",
    "ipnUrl",
    "orderId",
    "orderInfo",
    "partnerCode",
    "redirectUrl",
    "requestId",
    "requestType",
)
IPN_FIELDS = (
    "accessKey",
    "amount",
    "extraData",
    "message",
    "orderId",
    "orderInfo",
    "orderType",
    "partnerCode",
    "payType",
    "requestId",
    "responseTime",
    "resultCode",
    "transId",
)
QUERY_FIELDS = ("accessKey", "orderId", "partnerCode", "requestId")
REFUND_FIELDS = (
    "accessKey",
    "amount",
    "description",
    "orderId",
    "partnerCode",
    "requestId",
    "transId",
)

_NUMBER = re.compile(r"([0-9]{1,19})(?:\.0{1,2})?", re.ASCII)
_SEPARATORS = re.compile(r"[&=]+")
SMALLEST_AMOUNT, LARGEST_AMOUNT = 1_000, 50_000_000  # VND

# 9000 is authorized. Our payments have one step, so authorized money is paid.
_PAID = frozenset({0, 9000})
_WAITING = frozenset({1000, 42})  # for the customer; 42: MoMo has no such order
_EXPIRED = 1005
# How the customer's own try failed. Every other code is about the request that it answers, or says
# that MoMo is not done.
_DECLINED = frozenset({1001, 1002, 1003, 1004, 1006, 1007, 1017, 1026, 4001, 4002, 4100})
# What `create` refuses for good: nothing was started. 40, 41 and 43 may come while an earlier
# request of ours is processed; 98 and 99 do not say whether the order can be paid.
_CREATE_REFUSED = _DECLINED | {10, 11, 12, 13, 20, 21, 22, 45, 47, 2019}
# Of these: MoMo's maintenance, or our account, key or form. The customer cannot correct it.
_OUR_FAULT = frozenset({10, 11, 12, 13, 20, 45, 2019})
# What `refund` refuses for good. With 40 and 41 MoMo already has the request; 43, 98 and 99 decide
# nothing.
_REFUND_REFUSED = frozenset({10, 11, 12, 13, 20, 21, 22, 42, 45, 47, 1080, 1081, 1088})

_SENTENCES = {
    21: "MoMo không nhận số tiền này. Hãy dùng phương thức khác.",
    22: "MoMo chỉ nhận từ 1.000 đến 50.000.000 đồng mỗi lần. Hãy dùng phương thức khác.",
    1001: "Ví MoMo của khách hàng không đủ số dư.",
    1002: "Ngân hàng phát hành từ chối giao dịch.",
    1003: "Giao dịch MoMo đã bị huỷ.",
    1004: "Ví MoMo của khách hàng đã vượt hạn mức thanh toán.",
    1005: "Đã hết hạn chờ thanh toán trên MoMo.",
    1006: "Khách hàng đã từ chối giao dịch trên MoMo.",
    1007: "Tài khoản MoMo của khách hàng chưa hoạt động hoặc không tồn tại.",
    1017: "Giao dịch MoMo đã bị huỷ.",
    4001: "Tài khoản MoMo của khách hàng đang bị hạn chế.",
    4002: "Khách hàng chưa xác thực tài khoản MoMo.",
    4100: "Khách hàng đăng nhập MoMo không thành công.",
}
_OTHER_SENTENCE = "MoMo từ chối giao dịch. Hãy tạo lại yêu cầu hoặc dùng phương thức khác."
_REFUND_SENTENCES = {
    1080: "MoMo chưa hoàn được tiền. Hãy yêu cầu lại sau khoảng một giờ.",
    1081: "Giao dịch này đã được hoàn tiền tại MoMo. Hãy đối soát trước khi hoàn theo cách khác.",
    1088: "MoMo không cho hoàn giao dịch này. Hãy hoàn tiền theo cách khác.",
}
_OTHER_REFUND_SENTENCE = "MoMo từ chối hoàn tiền. Hãy hoàn tiền theo cách khác."


def signed_text(fields: Mapping[str, object], order: Sequence[str]) -> str:
    """Return the text to sign: raw values in *order*, with empty ones, without any encoding."""
    return "&".join(f"{name}={fields[name]}" for name in order)


def unambiguous(description: str) -> str:
    """Return a description without `&` and `=`, which would make the signed text ambiguous."""
    text = _SEPARATORS.sub(" ", unicodedata.normalize("NFC", description))
    return " ".join(text.split())[:255]


def is_unambiguous(fields: Mapping[str, object], order: Sequence[str]) -> bool:
    """Return whether the signed text can be cut into these values only."""
    return not any("&" in str(fields[name]) for name in order)


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_signed(secrets: Sequence[str], text: str, signature: str) -> bool:
    """Return whether one of *secrets* made *signature*."""
    return any_signature_matches((sign(secret, text) for secret in secrets), [signature])


def transaction_number(number: object) -> str | None:
    """Return MoMo's number of a payment or refund; None for an absent number or zero."""
    match = _NUMBER.fullmatch(raw_text(number))
    return match[1] if match and match[1].strip("0") else None


def is_create_refused(code: int) -> bool:
    """Return whether `create` says that nothing was started."""
    return code in _CREATE_REFUSED


def is_our_fault(code: int) -> bool:
    """Return whether `create` was refused for a reason that the customer cannot correct."""
    return code in _OUR_FAULT


def payment_result(code: int) -> GatewayResult:
    """Return what a `resultCode` says of an order; UNKNOWN for busy and undocumented codes."""
    if code in _PAID:
        return GatewayResult.PAID
    if code in _WAITING:
        return GatewayResult.UNPAID
    if code in _DECLINED:
        return GatewayResult.DECLINED
    return GatewayResult.EXPIRED if code == _EXPIRED else GatewayResult.UNKNOWN


def is_refund_refused(code: int) -> bool:
    """Return whether `refund` says that this request will never refund anything."""
    return code in _REFUND_REFUSED


def refund_result(code: int) -> GatewayResult:
    """Return what the `resultCode` of a listed refund says."""
    if code == 0:
        return GatewayResult.PAID
    return GatewayResult.DECLINED if code in _REFUND_REFUSED else GatewayResult.UNKNOWN


def refund_failure(code: int) -> Failure:
    return Failure(code=str(code), message=_REFUND_SENTENCES.get(code, _OTHER_REFUND_SENTENCE))


def failure(code: int) -> Failure:
    return Failure(code=str(code), message=_SENTENCES.get(code, _OTHER_SENTENCE))
