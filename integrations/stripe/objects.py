"""Stripe's objects, as far as we read them, and what each says of the money."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from domain.attempts import Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import known_currency, whole, with_sum
from integrations.http.parsing import EMPTY_IS_ABSENT, Text, Wire

# Their decline codes that one can do something about; the customer's bank gives no reason for the others.
_SENTENCES = {
    "insufficient_funds": "Thẻ không đủ tiền.",
    "expired_card": "Thẻ đã hết hạn.",
    "incorrect_cvc": "Mã bảo mật của thẻ không đúng.",
    "authentication_required": "Thẻ cần được xác thực. Hãy trả bằng trang thanh toán.",
    "payment_intent_authentication_failure": "Khách chưa xác thực được thẻ.",
    "card_not_supported": "Thẻ không dùng được cho giao dịch này.",
}
_OTHERWISE = "Thẻ bị từ chối."
_WHAT_TO_DO = "Chưa có khoản tiền nào bị trừ; hãy dùng thẻ khác hoặc phương thức khác."
_LAPSED = Failure(code="expired", message="Đã hết hạn trang thanh toán thẻ.")
_CANCELLED = Failure(code="canceled", message="Yêu cầu thanh toán thẻ đã bị huỷ.")


class Refusal(Wire):
    """Why a card was not charged; the code of the bank that refused it is the more precise one."""

    type: str | None = None
    code: str | None = None
    decline_code: str | None = None

    @property
    def failure(self) -> Failure:
        code = self.decline_code or self.code or self.type or "declined"
        sentence = _SENTENCES.get(code) or _SENTENCES.get(self.code or "") or _OTHERWISE
        return Failure(code=code[:64], message=f"{sentence} {_WHAT_TO_DO}")


class Refused(Wire):
    error: Refusal


class _Redirect(Wire):
    url: str = Field(pattern=r"^https?://[!-~]{3,2000}$")


class _NextAction(Wire):
    redirect_to_url: _Redirect | None = None


class Intent(Wire):
    """A charge that is tried. One that a page made may be tried again there: its decline is not the last word."""

    id: Text
    status: str | None = None
    amount_received: Any = None
    currency: Any = None
    metadata: dict[str, str] | None = None
    last_payment_error: Refusal | None = None
    next_action: _NextAction | None = None

    @property
    def reference(self) -> str | None:
        return (self.metadata or {}).get("reference") or None

    @property
    def of_a_page(self) -> bool:
        return "page" in (self.metadata or {})

    @property
    def is_closed(self) -> bool:
        return self.status == "canceled"

    @property
    def url(self) -> str | None:
        """Where the customer proves who they are, if their bank wants it."""
        wanted = self.next_action and self.next_action.redirect_to_url
        return wanted.url if wanted else None

    def evidence(self, source: str, grade: EvidenceSource) -> Evidence:
        result, failure = self._finding()
        evidence = Evidence(
            source=grade,
            origin=source,
            result=result,
            gateway_id=self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=failure,
        )
        return _with_sum(evidence, self.amount_received, self.currency)

    def _finding(self) -> tuple[GatewayResult, Failure | None]:
        match self.status:
            case "succeeded":
                return GatewayResult.PAID, None
            case "requires_payment_method" if self.last_payment_error and not self.of_a_page:
                return GatewayResult.DECLINED, self.last_payment_error.failure
            case "requires_payment_method" | "requires_confirmation" | "requires_action":
                return GatewayResult.UNPAID, None
            case "canceled":
                return GatewayResult.EXPIRED, _CANCELLED
            case _:  # processing above all: money may be on its way
                return GatewayResult.UNKNOWN, None


class Session(Wire):
    """A page to pay at. Its intent is read along where it was asked for, else only its id."""

    id: Text
    client_reference_id: Annotated[str | None, EMPTY_IS_ABSENT] = None
    status: str | None = None
    payment_status: str | None = None
    amount_total: Any = None
    currency: Any = None
    url: Annotated[str | None, EMPTY_IS_ABSENT] = Field(
        default=None, pattern=r"^https?://[!-~]{3,2000}$"
    )
    payment_intent: Annotated[Intent | str | None, EMPTY_IS_ABSENT] = None

    @property
    def reference(self) -> str | None:
        return self.client_reference_id

    @property
    def is_closed(self) -> bool:
        return self.status == "expired"

    def evidence(self, source: str, grade: EvidenceSource) -> Evidence:
        result, failure = self._finding()
        paid = result is GatewayResult.PAID
        evidence = Evidence(
            source=grade,
            origin=source,
            result=result,
            gateway_id=self._number if paid else self.id,
            payment_url=self.url if result is GatewayResult.UNPAID else None,
            failure=failure,
        )
        return _with_sum(evidence, self.amount_total, self.currency)

    @property
    def _number(self) -> str | None:
        """The payment's own number: what refunds and further payments are told apart by."""
        intent = self.payment_intent
        return intent.id if isinstance(intent, Intent) else intent

    def _finding(self) -> tuple[GatewayResult, Failure | None]:
        match self.status, self.payment_status:
            case _, "paid":
                return GatewayResult.PAID, None
            case "open", "unpaid":
                return GatewayResult.UNPAID, None
            case "expired", _:
                return GatewayResult.EXPIRED, _LAPSED
            case "complete", "unpaid" if isinstance(self.payment_intent, Intent):
                refused = self.payment_intent.last_payment_error
                return (
                    (GatewayResult.DECLINED, refused.failure)
                    if refused
                    else (GatewayResult.UNKNOWN, None)
                )
            case _:  # complete, by a way whose money comes later
                return GatewayResult.UNKNOWN, None


M = TypeVar("M", Session, Intent)


class Listed(Wire, Generic[M]):
    data: list[M]
    has_more: bool


class _About(Wire):
    object: dict[str, Any]


class Event(Wire):
    id: Text
    type: str = ""
    data: _About


def _with_sum(evidence: Evidence, amount: Any, currency: Any) -> Evidence:
    """Return *evidence* with its sum where it says that one was paid. Their currencies are in small letters."""
    if evidence.result is not GatewayResult.PAID:
        return evidence
    known = known_currency(currency.upper() if isinstance(currency, str) else None)
    return with_sum(evidence, whole(amount), written=amount, currency=known)
