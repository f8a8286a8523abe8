"""MoMo's protocol, AIO v2, without any wire: the texts that are signed, the amount, the codes."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping, Sequence

from domain.attempts import Failure
from domain.payment_evidence import GatewayResult

# The fields that are signed, in their order. An access key stands in each text and in no body.
CREATE = (
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
IPN = (
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
QUERY = ("accessKey", "orderId", "partnerCode", "requestId")
REFUND = (
    "accessKey",
    "amount",
    "description",
    "orderId",
    "partnerCode",
    "requestId",
    "transId",
)

_MARKS = re.compile(r"[&=]+")
SMALLEST_AMOUNT, LARGEST_AMOUNT = 1_000, 50_000_000

_PAID = frozenset({0, 9000})  # 9000, authorized: of one step, which ours are, that is paid
_WAITING = frozenset({1000, 42})  # for the customer; 42: nobody ever asked MoMo for this order
_EXPIRED = 1005
# What became of the customer's own try. Every other code is about the request that was answered by
# it, or says that MoMo is not done.
_DECLINED = frozenset({1001, 1002, 1003, 1004, 1006, 1007, 1017, 1026, 4001, 4002, 4100})
# What `create` refuses for good: nothing was begun. 40, 41 and 43 are said while an earlier request
# of ours is alive, and 98 and 99 say nothing about whether the order can be paid.
_REFUSED = _DECLINED | {10, 11, 12, 13, 20, 21, 22, 45, 47, 2019}
# Of these: their maintenance, our account, key or form. No customer can mend it.
_OURS = frozenset({10, 11, 12, 13, 20, 45, 2019})
# What `refund` refuses for good. 40 and 41 say that MoMo has our request already, 43, 98 and 99 nothing at all.
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
_OTHER = "MoMo từ chối giao dịch. Hãy tạo lại yêu cầu hoặc dùng phương thức khác."
_REFUND_SENTENCES = {
    1080: "MoMo chưa hoàn được tiền. Hãy yêu cầu lại sau khoảng một giờ.",
    1081: "Giao dịch này đã được hoàn tiền tại MoMo. Hãy đối soát trước khi hoàn theo cách khác.",
    1088: "MoMo không cho hoàn giao dịch này. Hãy hoàn tiền theo cách khác.",
}
_REFUND_OTHER = "MoMo từ chối hoàn tiền. Hãy hoàn tiền theo cách khác."


def canonical(fields: Mapping[str, object], order: Sequence[str]) -> str:
    """Return the text that is signed: raw values in *order*, empty ones kept, nothing encoded."""
    return "&".join(f"{name}={fields[name]}" for name in order)


def text(description: str) -> str:
    """Return a description as it may be signed: `&` and `=` in it would have what is signed read in two ways."""
    return " ".join(_MARKS.sub(" ", unicodedata.normalize("NFC", description)).split())[:255]


def reads_in_one_way(fields: Mapping[str, object], order: Sequence[str]) -> bool:
    """Return whether the text that is signed could be cut into values at these places alone."""
    return not any("&" in str(fields[name]) for name in order)


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_signed(secrets: Sequence[str], text: str, signature: str) -> bool:
    """Return whether one of *secrets* made *signature*; every one is tried, in constant time."""
    presented = signature.lower().encode()
    matches = [hmac.compare_digest(sign(secret, text).encode(), presented) for secret in secrets]
    return any(matches)


def is_refused(code: int) -> bool:
    """Return whether `create` says that nothing was begun."""
    return code in _REFUSED


def is_ours(code: int) -> bool:
    """Return whether `create` was refused for what is not the customer's to mend."""
    return code in _OURS


def result(code: int) -> GatewayResult:
    """Return what a `resultCode` says of an order. Nobody told us of a code, or MoMo is busy: not known yet."""
    if code in _PAID:
        return GatewayResult.PAID
    if code in _WAITING:
        return GatewayResult.UNPAID
    if code in _DECLINED:
        return GatewayResult.DECLINED
    return GatewayResult.EXPIRED if code == _EXPIRED else GatewayResult.UNKNOWN


def is_refund_refused(code: int) -> bool:
    """Return whether `refund` says that nothing is, or will be, given back under this request."""
    return code in _REFUND_REFUSED


def refund_result(code: int) -> GatewayResult:
    """Return what the `resultCode` of a refund says, where a query lists it."""
    if code == 0:
        return GatewayResult.PAID
    return GatewayResult.DECLINED if code in _REFUND_REFUSED else GatewayResult.UNKNOWN


def refund_failure(code: int) -> Failure:
    return Failure(code=str(code), message=_REFUND_SENTENCES.get(code, _REFUND_OTHER))


def failure(code: int) -> Failure:
    return Failure(code=str(code), message=_SENTENCES.get(code, _OTHER))
