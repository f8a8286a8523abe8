"""Stripe's objects, with the fields that we read, and the evidence in each."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from domain.attempts import Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import known_currency, whole_number, with_amount
from integrations.http.parsing import EMPTY_AS_NONE, Text, WireModel

# The decline codes that people can act on. For the others the customer's bank gives no reason.
_SENTENCES = {
    "insufficient_funds": "Thẻ không đủ tiền.",
    "expired_card": "Thẻ đã hết hạn.",
    "incorrect_cvc": "Mã bảo mật của thẻ không đúng.",
    "authentication_required": "Thẻ cần được xác thực. Hãy trả bằng trang thanh toán.",
    "payment_intent_authentication_failure": "Khách chưa xác thực được thẻ.",
    "card_not_supported": "Thẻ không dùng được cho giao dịch này.",
}
_OTHER_SENTENCE = "Thẻ bị từ chối."
_ADVICE = "Chưa có khoản tiền nào bị trừ; hãy dùng thẻ khác hoặc phương thức khác."
_PAGE_EXPIRED = Failure(code="expired", message="Đã hết hạn trang thanh toán thẻ.")
_CANCELLED = Failure(code="canceled", message="Yêu cầu thanh toán thẻ đã bị huỷ.")


class CardError(WireModel):
    """Why a card was not charged. The issuing bank's `decline_code` is the most precise code."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None

    @property
    def failure(self) -> Failure:
        code = self.decline_code or self.code or self.type or "declined"
        sentence = _SENTENCES.get(code) or _SENTENCES.get(self.code or "") or _OTHER_SENTENCE
        return Failure(code=code[:64], message=f"{sentence} {_ADVICE}")


class ErrorResponse(WireModel):
    error: CardError


class _Redirect(WireModel):
    url: str = Field(pattern=r"^https?://[!-~]{3,2000}$")


class _NextAction(WireModel):
    redirect_to_url: _Redirect | None = None


class Intent(WireModel):
    """A charge. A declined charge of a page is not final: the customer may try again there."""

    id: Text
    status: str | None = None
    amount_received: Any = None
    currency: Any = None
    metadata: dict[str, str] | None = None
    last_payment_error: CardError | None = None
    next_action: _NextAction | None = None

    @property
    def reference(self) -> str | None:
        return (self.metadata or {}).get("reference") or None

    @property
    def is_of_page(self) -> bool:
        return "page" in (self.metadata or {})

    @property
    def is_closed(self) -> bool:
        return self.status == "canceled"

    @property
    def url(self) -> str | None:
        """The page where the customer authenticates; None if the bank wants no authentication."""
        redirect = self.next_action and self.next_action.redirect_to_url
        return redirect.url if redirect else None

    def evidence(self, origin: str, source: EvidenceSource) -> Evidence:
        result, failure = self._result()
        evidence = Evidence(
            source=source,
            origin=origin,
            result=result,
            gateway_id=self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=failure,
        )
        return _with_paid_amount(evidence, self.amount_received, self.currency)

    def _result(self) -> tuple[GatewayResult, Failure | None]:
        match self.status:
            case "succeeded":
                return GatewayResult.PAID, None
            case "requires_payment_method" if self.last_payment_error and not self.is_of_page:
                return GatewayResult.DECLINED, self.last_payment_error.failure
            case "requires_payment_method" | "requires_confirmation" | "requires_action":
                return GatewayResult.UNPAID, None
            case "canceled":
                return GatewayResult.EXPIRED, _CANCELLED
            case _:  # processing above all: the money may still come
                return GatewayResult.UNKNOWN, None


class Session(WireModel):
    """A payment page. `payment_intent` is its id, or the charge itself where it was expanded."""

    id: Text
    client_reference_id: Annotated[str | None, EMPTY_AS_NONE] = None
    status: str | None = None
    payment_status: str | None = None
    amount_total: Any = None
    currency: Any = None
    url: Annotated[str | None, EMPTY_AS_NONE] = Field(
        default=None, pattern=r"^https?://[!-~]{3,2000}$"
    )
    payment_intent: Annotated[Intent | str | None, EMPTY_AS_NONE] = None

    @property
    def reference(self) -> str | None:
        return self.client_reference_id

    @property
    def is_closed(self) -> bool:
        return self.status == "expired"

    def evidence(self, origin: str, source: EvidenceSource) -> Evidence:
        result, failure = self._result()
        paid = result is GatewayResult.PAID
        evidence = Evidence(
            source=source,
            origin=origin,
            result=result,
            gateway_id=self._intent_id if paid else self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=failure,
        )
        return _with_paid_amount(evidence, self.amount_total, self.currency)

    @property
    def _intent_id(self) -> str | None:
        """The payment's own id, which identifies it in refunds and settlement."""
        intent = self.payment_intent
        return intent.id if isinstance(intent, Intent) else intent

    def _result(self) -> tuple[GatewayResult, Failure | None]:
        match self.status, self.payment_status:
            case _, "paid":
                return GatewayResult.PAID, None
            case "open", "unpaid":
                return GatewayResult.UNPAID, None
            case "expired", _:
                return GatewayResult.EXPIRED, _PAGE_EXPIRED
            case "complete", "unpaid" if isinstance(self.payment_intent, Intent):
                error = self.payment_intent.last_payment_error
                if error:
                    return GatewayResult.DECLINED, error.failure
                return GatewayResult.UNKNOWN, None
            case _:  # complete, with a method whose money comes later
                return GatewayResult.UNKNOWN, None


Payment = TypeVar("Payment", Session, Intent)


class ObjectList(WireModel, Generic[Payment]):
    data: list[Payment]
    has_more: bool


class _EventData(WireModel):
    object: dict[str, Any]


class Event(WireModel):
    id: Text
    type: str = ""
    data: _EventData


def _with_paid_amount(evidence: Evidence, amount: Any, currency: Any) -> Evidence:
    """Return *evidence* with its amount if it is PAID. Stripe writes currencies in lower case."""
    if evidence.result is not GatewayResult.PAID:
        return evidence
    known = known_currency(currency.upper() if isinstance(currency, str) else None)
    return with_amount(evidence, whole_number(amount), raw=amount, currency=known)
