"""
The domain's catalogue of what clients read: the reasons of its refusals, in Vietnamese and English.

A rule names a reason and the facts that fill its sentence; it holds no sentence itself. The frame
of each refusal's sentence stands with its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, cast

from domain.calendar import local
from domain.methods import GatewayName, PaymentMethod

Language = Literal["vi", "en"]

METHOD_NAMES: dict[PaymentMethod, tuple[str, str]] = {
    PaymentMethod.CASH: ("tiền mặt", "cash"),
    PaymentMethod.FPT_PAY: ("ví FPT Pay", "FPT Pay wallet"),
    PaymentMethod.VNPAY_QR: ("mã VNPAY-QR", "VNPAY-QR"),
    PaymentMethod.BANK_TRANSFER: ("chuyển khoản ngân hàng", "bank transfer"),
    PaymentMethod.MOMO: ("MoMo", "MoMo"),
    PaymentMethod.CARD: ("thẻ", "card"),
    PaymentMethod.PAYPAL: ("PayPal", "PayPal"),
}
GATEWAY_NAMES: dict[GatewayName, str] = {
    GatewayName.VNPAY: "VNPAY",
    GatewayName.FPT_PAY: "FPT Pay",
    GatewayName.BANK: "VietQR",
    GatewayName.MOMO: "MoMo",
    GatewayName.STRIPE: "Stripe",
    GatewayName.PAYPAL: "PayPal",
}


def in_words(value: object, language: Language) -> str:
    """Return a fact as a sentence writes it: figures, moments and names of methods by language."""
    match value:
        case bool():
            return str(value)
        case int():
            return f"{value:,}".replace(",", "." if language == "vi" else ",")
        case datetime():
            return f"{local(value):%H:%M %d/%m/%Y}"
        case PaymentMethod():
            vi, en = METHOD_NAMES[value]
            return vi if language == "vi" else en
        case GatewayName():
            return GATEWAY_NAMES[value]
        case Reason():
            return value.text(language, {})
        case tuple():
            parts = cast("tuple[object, ...]", value)
            return ", ".join(in_words(part, language) for part in parts) or "–"
        case None:
            return "–"
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class _Words:
    """Facts as words, each made when the sentence needs it."""

    facts: Mapping[str, object]
    language: Language

    def __getitem__(self, name: str) -> str:
        return in_words(self.facts[name], self.language)


def fill(sentence: str, facts: Mapping[str, object], language: Language) -> str:
    """Return *sentence* with each name in braces replaced by that fact in words."""
    return sentence.format_map(_Words(facts, language))


class Reason(Enum):
    """The base of a catalogue; each member's value is a Vietnamese and an English sentence."""

    def __init__(self, vi: str, en: str) -> None:
        self.vi = vi
        self.en = en

    def text(self, language: Language, facts: Mapping[str, object]) -> str:
        """Return the sentence in *language*, filled with *facts*."""
        return fill(self.vi if language == "vi" else self.en, facts, language)


class Noun(Reason):
    """What was not found."""

    BILL = ("hoá đơn", "bill")
    FEE = ("khoản phí", "fee")
    CONTRACT = ("hợp đồng", "contract")
    STAFF = ("nhân viên", "member of staff")
    PAYMENT = ("giao dịch", "payment")
    ORDER = ("đơn hàng", "order")
    CASE = ("hồ sơ", "case")
    HAND_IN = ("lần nộp tiền", "hand-in")
    RECEIPT = ("biên nhận", "receipt")
    CALL = ("cuộc gọi", "call")


class InputProblem(Reason):
    """What is wrong with a field; the sentence goes on from the field's name."""

    AMOUNT = ("phải là số đồng nguyên dương.", "must be a positive whole number of đồng.")
    REASON_TEXT = (
        "cần lý do từ 3 đến 200 ký tự, trên một dòng.",
        "needs a reason of 3 to 200 characters, on one line.",
    )
    IDEMPOTENCY_KEY = (
        "cần {shortest}–{longest} ký tự ASCII, mỗi giao dịch mới một khoá ngẫu nhiên.",
        "needs {shortest}–{longest} ASCII characters, random for each new payment.",
    )
    PAGE_SIZE = ("phải từ 1 đến {most}.", "must be from 1 to {most}.")
    FIRST_AND_LAST = (
        "không dùng cùng lúc với first; hãy chọn một trong hai.",
        "cannot be combined with first; send one of the two.",
    )
    CURSOR = (
        "con trỏ không hợp lệ cho danh sách này; hãy tải lại từ trang đầu.",
        "the cursor does not fit this list; load again from the first page.",
    )
    OUTSIDE_CALENDAR = ("nằm ngoài lịch.", "lies outside of the calendar.")
    MOBILE_NUMBER = (
        "không phải số di động Việt Nam; hãy nhập như 0987654321.",
        "is not a Vietnamese mobile number; write it like 0987654321.",
    )
    NOT_WHOLE = (
        "phải là số đồng nguyên, không có dấu phân cách.",
        "must be a whole number of đồng, without separators.",
    )
    NOT_ONE_OF = ("phải là một trong: {known}.", "must be one of: {known}.")
    QUOTED_KEY = (
        'khoá trong dấu ngoặc kép phải viết theo RFC 8941, như "khoa-ngau-nhien-1".',
        'a key in quotes is written as RFC 8941 has it, like "a-random-key-0001".',
    )
    MISSING_TEXT = ("là chuỗi bắt buộc.", "is a required text.")
    ITEM_COUNT = ("cần từ 1 đến {most} khoản.", "needs 1 to {most} items.")
    ITEM_REPEATED = (
        "{id} bị lặp lại. Hãy chỉ gửi một lần.",
        "{id} is repeated. Send it once.",
    )
    TOKEN_WITHOUT_CARD = (
        "chỉ dùng khi trả bằng thẻ; hãy bỏ trống.",
        "goes with payments by card only; leave it out.",
    )
    TOKEN_FORM = (
        "cần mã thẻ mà cổng thẻ cấp cho ứng dụng (pm_… hoặc tok_…).",
        "needs what the card gateway gave the app for the card (pm_… or tok_…).",
    )
    ORDER_CURRENCY = ("đơn hàng chỉ nhận VND.", "an order is in VND.")
    ORDER_METHOD = (
        "đơn hàng không thu bằng tiền mặt hay ví của nhân viên; hãy chọn cách khác.",
        "an order is not paid in cash or from a staff wallet; choose another method.",
    )
    WEB_ADDRESS = (
        "phải là địa chỉ http(s) đầy đủ, tối đa {longest} ký tự.",
        "must be a whole http(s) address of at most {longest} characters.",
    )
    TEXT_LENGTH = (
        "cần từ {shortest} đến {longest} ký tự, trên một dòng.",
        "needs {shortest} to {longest} characters, on one line.",
    )
    COUNTED_AMOUNT = (
        "là số tiền đã đếm, tính bằng đồng: không âm, tối đa một nghìn tỷ. Hãy đếm lại.",
        "is the amount that was counted, in đồng: not negative, a million million at most."
        " Count again.",
    )
    NOTE_LENGTH = (
        "tối đa {longest} ký tự; hãy viết ngắn hơn.",
        "has at most {longest} characters; make it shorter.",
    )
    NOTE_CHARACTERS = (
        "chứa ký tự không hiển thị được; hãy gõ lại.",
        "holds characters that cannot be shown; type it again.",
    )
    NO_CASH_HELD = (
        "bạn không giữ khoản tiền mặt nào để nộp; khoản đang chờ duyệt huỷ thì chưa nộp.",
        "you hold no cash to hand in; what waits for its void to be decided is not handed in.",
    )
    SUM_NOT_NEEDED = (
        "chỉ nêu số tiền khi chọn APPLY, CREDIT hoặc REFUND cho hồ sơ mà số tiền của cổng không đọc"
        " được.",
        "name a sum only with APPLY, CREDIT or REFUND, of a case whose own sum cannot be read.",
    )
    SUM_NEEDED = (
        "cổng ghi số tiền là “{unreadable}”, không đọc được. Hãy đối chiếu sao kê"
        " và nêu số tiền đã đến.",
        "the gateway wrote the sum as “{unreadable}”, which cannot be read. Look at"
        " the statement and name what came.",
    )
    OUTCOME_IS_KNOWN = (
        "kết quả hoàn tiền đã rõ, hồ sơ chỉ còn nhận {choices}.",
        "the outcome of the refund is known by now: the case takes only {choices}.",
    )
    NOT_A_CHOICE = (
        "hồ sơ loại này chỉ nhận {choices}.",
        "a case of this kind takes only {choices}.",
    )
    DECIDED_OTHERWISE = (
        "{actor} đã chọn {decision}. Hãy chọn như vậy, hoặc nhờ {actor} đổi quyết định;"
        " từ {until} bạn có thể quyết định khác.",
        "{actor} decided {decision}. Decide the same, or ask {actor} to change it; from"
        " {until} on you may decide otherwise.",
    )
    NAMED_ANOTHER_SUM = (
        "{actor} đã chọn {decision} {amount}. Hãy chọn như vậy, hoặc nhờ {actor} đổi quyết định;"
        " từ {until} bạn có thể quyết định khác.",
        "{actor} decided {decision} {amount}. Decide the same, or ask {actor} to change it; from"
        " {until} on you may decide otherwise.",
    )


class PermissionReason(Reason):
    """Why this person may not do it, though their role may."""

    CALL_MASKED = (
        "cuộc gọi này có chứa số thẻ nên đã được che, không thể kiểm tra lại được nữa."
        " Hãy yêu cầu cổng gửi lại.",
        "the call held a card number, was masked and cannot be verified again."
        " Have the gateway send it again.",
    )
    CALL_UNVERIFIED = (
        "chữ ký của cuộc gọi này vẫn không đúng, nên nó không được tính."
        " Hãy kiểm tra khoá của cổng.",
        "the call's signature still does not verify, so it counts for nothing."
        " Check the gateway's secret.",
    )
    COUNTS_OWN_CASH = (
        "tiền bạn nộp phải do thu ngân khác đếm. Hãy nhờ một thu ngân khác xác nhận.",
        "another cashier must count the cash that you hand in. Ask one to confirm it.",
    )
    VOIDS_ON_ANOTHER_DAY = (
        "chỉ được tự huỷ trong ngày thu. Hãy nhờ giám sát của bạn.",
        "your own collection is voided on its own day only. Ask your supervisor.",
    )
    COLLECTED_BY_ANOTHER = (
        "khoản này do người khác thu. Hãy nhờ người thu hoặc giám sát.",
        "another person collected it. Ask them or their supervisor.",
    )
    DECIDES_OWN_REQUEST = (
        "bạn là người đề nghị. Hãy nhờ người khác duyệt.",
        "you requested it. Another person must decide.",
    )


class DecisionReason(Reason):
    """Why a case about a payment cannot be decided so."""

    MONEY_IS_LEFT = (
        "còn tiền chưa có chủ. Hãy chọn CREDIT hoặc REFUND.",
        "there is money without an owner. Decide CREDIT or REFUND.",
    )
    BILLS_ARE_TAKEN = (
        "cước đã được thanh toán hoặc đang được thu bằng giao dịch khác. Hãy chọn CREDIT hoặc"
        " REFUND.",
        "its bills are paid or being collected by another payment. Decide CREDIT or REFUND.",
    )
    HAS_SUCCEEDED = (
        "đã thành công rồi. Hãy chọn CREDIT hoặc REFUND nếu còn tiền, không thì CLOSE.",
        "it has succeeded already. Decide CREDIT or REFUND if money is left, else CLOSE.",
    )
    RECORD_IS_NOT_REFUSED = (
        "Revenue đang ghi nhận hoặc đã ghi nhận. Hãy tải lại giao dịch.",
        "Revenue has recorded it, or is about to. Load the payment again.",
    )
    WAS_REVERSED = (
        "đã hoàn hoặc huỷ một phần hay toàn bộ. Hãy chọn CREDIT hoặc REFUND nếu còn tiền, không thì"
        " CLOSE.",
        "it was reversed, in part or whole. Decide CREDIT or REFUND if money is left, else CLOSE.",
    )
    CASH_IS_WITH_COLLECTOR = (
        "tiền mặt còn do người thu giữ. Hãy huỷ khoản thu (voidCashPayment), rồi CLOSE.",
        "its cash is still with the collector. Void it (voidCashPayment), then CLOSE.",
    )
    NO_MONEY_WAITS = (
        "không còn tiền nào chờ xử lý ở hồ sơ này. Hãy chọn CLOSE.",
        "no money waits with this case. Decide CLOSE.",
    )
    REVERSAL_AWAITS_APPROVAL = (
        "một yêu cầu huỷ hoặc hoàn tiền đang chờ duyệt. Hãy quyết định hồ sơ APPROVAL của nó"
        " trước.",
        "a void or refund of it awaits approval. Decide its APPROVAL case first.",
    )
    IN_ANOTHER_CURRENCY = (
        "tiền đến bằng ngoại tệ. Hãy chọn REFUND.",
        "the money came in another currency. Decide REFUND.",
    )


class ReversalReason(Reason):
    """Why a payment cannot be voided or refunded."""

    NOT_CASH = (
        "chỉ khoản thu tiền mặt mới huỷ được. Hãy đề nghị Tài chính hoàn tiền.",
        "only cash is voided. Ask Finance for a refund.",
    )
    HANDED_IN = (
        "tiền mặt đã được nộp. Hãy đề nghị Tài chính hoàn tiền.",
        "its cash was handed in. Ask Finance for a refund.",
    )
    VOID_AWAITS_APPROVAL = (
        "một yêu cầu huỷ đang chờ duyệt. Hãy chờ Tài chính quyết định.",
        "a void of it awaits approval. Wait for Finance to decide.",
    )
    CREDITED = (
        "tiền đã được ghi có cho khách hàng. Hãy nộp số tiền mặt này.",
        "its money was credited to the customer. Hand the cash in.",
    )
    HELD_BY_STAFF = (
        "tiền mặt còn do người thu giữ. Hãy huỷ khoản thu thay vì hoàn tiền.",
        "its cash is still with the collector. Void it instead.",
    )
    NOT_PAID = (
        "chưa thu được tiền. Hãy huỷ giao dịch nếu không thu nữa.",
        "no money was taken for it. Cancel it if it is not to be paid.",
    )
    VOIDED = (
        "đã được huỷ trước đó. Hãy tải lại giao dịch.",
        "it was voided before. Load the payment again.",
    )
