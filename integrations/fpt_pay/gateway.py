"""FPT Pay, the staff's wallet: a payment form, an inquiry by reference, signed notifications."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import orjson
import structlog
from pydantic import AwareDatetime, Field

from domain.attempts import Attempt, Failure
from domain.gateways import Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import known_currency, whole_number, with_amount
from integrations.http.client import Upstream
from integrations.http.conversation import (
    declined_evidence,
    is_definite,
    unpaid_evidence,
    untrusted_evidence,
)
from integrations.http.failures import Unreadable, Unusable
from integrations.http.gateway import HttpGateway
from integrations.http.messages import Answer, Request
from integrations.http.parsing import (
    Text,
    WireModel,
    parse_success,
    parse_with_raw_numbers,
    rejection,
    unusable,
)
from integrations.http.webhooks import check_timed_signature, parse_event, parse_json_object

_log = structlog.stdlib.get_logger("integrations.fpt_pay.gateway")

INIT, INQUIRY, WEBHOOK = "fpt_pay:init", "fpt_pay:inquiry", "fpt_pay:webhook"
REFUND = "fpt_pay:refund"

# A repeated call gets the first answer. 404 and 401 show FPT Pay which of its calls went wrong.
_REPLIES = {
    Verdict.ACCEPTED: (200, "00"),
    Verdict.ALREADY_DONE: (200, "00"),
    Verdict.WRONG_AMOUNT: (200, "04"),
    Verdict.UNKNOWN_REFERENCE: (404, "01"),
    Verdict.BAD_SIGNATURE: (401, "97"),
    Verdict.OUR_ERROR: (500, "99"),
}
_RESULTS = {
    "pending": GatewayResult.UNPAID,
    "paid": GatewayResult.PAID,
    "declined": GatewayResult.DECLINED,
    "expired": GatewayResult.EXPIRED,
}
_SENTENCES = {
    "declined": "Ví FPT Pay từ chối giao dịch.",
    "expired": "Đã hết hạn thanh toán trên ví FPT Pay.",
}
_LOG_IN_AGAIN = Failure(
    code="GATEWAY_UNAVAILABLE",
    message="Ví FPT Pay không nhận phiên của bạn. Hãy đăng nhập lại rồi thử lại.",
)
_DEFINITE_CONFLICTS = frozenset({"NOT_PAID"})  # the codes of 409 that refuse a refund for good


class _InitResponse(WireModel):
    payment_id: Text
    payment_url: str = Field(pattern=r"^https?://[!-~]{3,2000}$")
    status: Literal["pending"]
    expires_at: AwareDatetime | None = None


class _Payment(WireModel):
    """The common part of an inquiry's answer and a notification. `amount` is read separately."""

    reference: Text
    payment_id: Text
    status: Text
    amount: Any = None
    currency: Any = None
    reason: str | None = None


class _Refund(WireModel):
    refund_reference: Text
    refund_id: Text
    status: Literal["refunded"]
    amount: Any


class _Event(_Payment):
    event_id: Text


class FPTPay(HttpGateway):
    """The first of `secrets` authenticates us; each verifies calls: two during a rotation."""

    name = GatewayName.FPT_PAY
    paths = ("fpt-pay",)
    methods = frozenset({"POST"})
    revocable = False
    inquiry_interval = 3.0

    def __init__(self, http: Upstream, *, secrets: Sequence[str]) -> None:
        assert secrets, "FPT Pay needs a secret"
        super().__init__(http)
        self._secrets = tuple(secrets)

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if purchase.staff_token is None:
            return declined_evidence(INIT, _LOG_IN_AGAIN)
        customer = {"name": purchase.customer_name}
        if purchase.customer_phone is not None:
            customer["phone"] = purchase.customer_phone
        request = Request(
            operation="start",
            method="POST",
            path="/payment/init",
            body={
                "amount": attempt.money.amount,
                "description": purchase.description[:255],
                "customer_info": customer,
                "reference": attempt.reference,
                "return_url": purchase.return_url,
                "notify_url": purchase.notify_url,
            },
            headers={
                "Authorization": f"Bearer {purchase.staff_token}",
                "Idempotency-Key": attempt.reference,
            },
            subject=purchase.description,
        )
        return await self._charge(INIT, request, _interpret_init)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        request = Request(
            operation="inquire",
            method="GET",
            path=f"/payment/{attempt.reference}",
            headers=self._own_headers(),
            subject=attempt.reference,
            repeatable=True,
        )
        return await self._inquire(
            INQUIRY, request, lambda answer: _interpret_inquiry(attempt, answer)
        )

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        request = self._refund_request(attempt, reversal)
        return await self._charge(
            REFUND, request, lambda answer: _interpret_refund(reversal, answer)
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Repeat the refund request: FPT Pay refunds once for each key and repeats its answer."""
        request = replace(
            self._refund_request(attempt, reversal), operation="inquire_refund", repeatable=True
        )
        return await self._inquire(
            REFUND, request, lambda answer: _interpret_refund(reversal, answer)
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        check_timed_signature(call, "X-FptPay-Signature", self._secrets)
        event = parse_event(_Event, parse_json_object(call.body))
        notice = Notice(
            event_id=event.event_id,
            reference=event.reference,
            evidence=_evidence(WEBHOOK, EvidenceSource.WEBHOOK, event),
        )
        return (notice,)

    def answer(self, verdict: Verdict) -> Reply:
        status, code = _REPLIES[verdict]
        return Reply(status=status, body=orjson.dumps({"code": code}))

    def _refund_request(self, attempt: Attempt, reversal: Reversal) -> Request:
        return Request(
            operation="refund",
            method="POST",
            path=f"/payment/{attempt.reference}/refund",
            body={"refund_reference": reversal.id, "amount": reversal.amount},
            headers=self._own_headers() | {"Idempotency-Key": reversal.id},
            subject=attempt.reference,
        )

    def _own_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secrets[0]}"}


def _interpret_init(answer: Answer) -> Evidence:
    if answer.status in {401, 403}:
        return declined_evidence(INIT, _LOG_IN_AGAIN)
    if not answer.ok:
        error = rejection(answer)
        if not is_definite(error.status):
            raise unusable(answer)
        message = error.text or "Ví FPT Pay từ chối yêu cầu. Hãy dùng phương thức khác."
        return declined_evidence(INIT, Failure(code=error.code, message=message))
    response = parse_success(_InitResponse, answer)
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=INIT,
        result=GatewayResult.ACCEPTED,
        gateway_id=response.payment_id,
        payment_url=response.payment_url,
    )


def _interpret_inquiry(attempt: Attempt, answer: Answer) -> Evidence:
    if answer.status == 404:
        if rejection(answer).code.startswith("HTTP_"):  # a proxy's 404, without FPT Pay's code
            raise Unreadable("status 404")
        return unpaid_evidence(INQUIRY)
    if not answer.ok:
        raise unusable(answer)
    payment = parse_with_raw_numbers(_Payment, answer.body)
    if payment.reference != attempt.reference:
        return untrusted_evidence(
            GatewayName.FPT_PAY, INQUIRY, attempt.reference, reason="another reference"
        )
    return _evidence(INQUIRY, EvidenceSource.INQUIRY, payment)


def _interpret_refund(reversal: Reversal, answer: Answer) -> Evidence:
    if not answer.ok:
        error = rejection(answer)
        # A refused secret, or a busy reference, decides nothing about the refund.
        if not error.definite or (error.status == 409 and error.code not in _DEFINITE_CONFLICTS):
            raise unusable(answer)
        message = error.text or "Ví FPT Pay từ chối hoàn tiền."
        return declined_evidence(REFUND, Failure(code=error.code, message=message))
    refund = parse_with_raw_numbers(_Refund, answer.body)
    expected = (reversal.id, reversal.amount)
    if (refund.refund_reference, whole_number(refund.amount)) != expected:
        raise Unusable("the answer is about another refund")
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=REFUND,
        result=GatewayResult.PAID,
        gateway_id=refund.refund_id,
    )


def _evidence(origin: str, source: EvidenceSource, payment: _Payment) -> Evidence:
    result = _RESULTS.get(payment.status, GatewayResult.UNKNOWN)
    if result is GatewayResult.UNKNOWN:
        _log.warning(
            "fpt_pay_status_unknown", status=payment.status[:20], reference=payment.reference
        )
    sentence = _SENTENCES.get(payment.status)
    failure = None
    if sentence is not None:
        failure = Failure(code=(payment.reason or payment.status)[:64], message=sentence)
    evidence = Evidence(
        source=source,
        origin=origin,
        result=result,
        gateway_id=payment.payment_id,
        failure=failure,
    )
    return with_amount(
        evidence,
        whole_number(payment.amount),
        raw=payment.amount,
        currency=known_currency(payment.currency),
    )
