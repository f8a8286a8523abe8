"""FPT Pay, the staff's wallet: a form to pay by, a question by our reference, a signed notification."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
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
from integrations.amounts import known_currency, whole, with_sum
from integrations.http.client import Answer, Unreadable, Unusable, Upstream
from integrations.http.conversation import asked, begun, is_definite, unknown
from integrations.http.parsing import (
    Rejected,
    Text,
    Wire,
    expect,
    parse_as_written,
    rejected,
    unusable,
)
from integrations.http.webhooks import check_timed_signature, event, json_object

_log = structlog.stdlib.get_logger("integrations.fpt_pay.gateway.gateway")

INIT, INQUIRY, WEBHOOK = "fpt_pay:init", "fpt_pay:inquiry", "fpt_pay:webhook"
REFUND = "fpt_pay:refund"

# A repeat is told the first answer. 404 and 401 make it visible at their end which call went astray.
_ANSWERS = {
    Verdict.ACCEPTED: (200, "00"),
    Verdict.ALREADY_DONE: (200, "00"),
    Verdict.WRONG_AMOUNT: (200, "04"),
    Verdict.UNKNOWN_REFERENCE: (404, "01"),
    Verdict.BAD_SIGNATURE: (401, "97"),
    Verdict.OUR_ERROR: (500, "99"),
}
_FINDINGS = {
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
_NO_REFUND = frozenset({"NOT_PAID"})  # the 409 that are about what was asked


class _Init(Wire):
    payment_id: Text
    payment_url: str = Field(pattern=r"^https?://[!-~]{3,2000}$")
    status: Literal["pending"]
    expires_at: AwareDatetime | None = None


class _Told(Wire):
    """What an inquiry's answer and a notification have in common. The amount is judged apart."""

    reference: Text
    payment_id: Text
    status: Text
    amount: Any = None
    currency: Any = None
    reason: str | None = None


class _Refund(Wire):
    refund_reference: Text
    refund_id: Text
    status: Literal["refunded"]
    amount: Any


class _Event(_Told):
    event_id: Text


class FPTPay:
    """The first of `secrets` authenticates us, any of them signs for FPT Pay: two during a rotation."""

    name = GatewayName.FPT_PAY
    paths = ("fpt-pay",)
    methods = frozenset({"POST"})
    revocable = False
    ask_again_after = 3.0

    def __init__(self, http: Upstream, *, secrets: Sequence[str]) -> None:
        assert secrets, "FPT Pay needs a secret"
        self._http = http
        self._secrets = tuple(secrets)

    def ready(self) -> bool:
        return self._http.ready("start")

    def retry_after_ms(self) -> int | None:
        return self._http.retry_after_ms("start")

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if purchase.staff_token is None:
            return _declined(_LOG_IN_AGAIN)
        customer = {"name": purchase.customer_name}
        if purchase.customer_phone is not None:
            customer["phone"] = purchase.customer_phone
        return await begun(
            self.name,
            INIT,
            self._http.call(
                "start",
                "POST",
                "/payment/init",
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
                read=_read_init,
                repeatable=False,
                subject=purchase.description,
            ),
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        def read(answer: Answer) -> Evidence:
            return _read_inquiry(attempt, answer)

        return await asked(
            INQUIRY,
            self._http.call(
                "inquire",
                "GET",
                f"/payment/{attempt.reference}",
                headers={"Authorization": f"Bearer {self._secrets[0]}"},
                read=read,
                repeatable=True,
                subject=attempt.reference,
            ),
        )

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        return await begun(self.name, REFUND, self._refund(attempt, reversal, again=False))

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Ask by repeating the request: under its key it is carried out once, and answered alike."""
        return await asked(REFUND, self._refund(attempt, reversal, again=True))

    def _refund(self, attempt: Attempt, reversal: Reversal, *, again: bool) -> Awaitable[Evidence]:
        def read(answer: Answer) -> Evidence:
            return _read_refund(reversal, answer)

        return self._http.call(
            "inquire_refund" if again else "refund",
            "POST",
            f"/payment/{attempt.reference}/refund",
            body={"refund_reference": reversal.id, "amount": reversal.amount},
            headers={
                "Authorization": f"Bearer {self._secrets[0]}",
                "Idempotency-Key": reversal.id,
            },
            read=read,
            repeatable=again,
            subject=attempt.reference,
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        check_timed_signature(call, "X-FptPay-Signature", self._secrets)
        notification = event(_Event, json_object(call.body))
        notice = Notice(
            event_id=notification.event_id,
            reference=notification.reference,
            evidence=_evidence(WEBHOOK, EvidenceSource.WEBHOOK, notification),
        )
        return (notice,)

    def answer(self, verdict: Verdict) -> Reply:
        status, code = _ANSWERS[verdict]
        return Reply(status=status, body=orjson.dumps({"code": code}))


def _read_init(answer: Answer) -> Evidence:
    if answer.status in {401, 403}:
        return _declined(_LOG_IN_AGAIN)
    if not answer.ok:
        no = rejected(answer)
        if not is_definite(no.status):
            raise unusable(answer)
        return _declined(_refusal(no))
    told = expect(_Init, answer)
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=INIT,
        result=GatewayResult.ACCEPTED,
        gateway_id=told.payment_id,
        payment_url=told.payment_url,
    )


def _read_inquiry(attempt: Attempt, answer: Answer) -> Evidence:
    if answer.status == 404:
        no = rejected(answer)
        if no.code.startswith("HTTP_"):  # not FPT Pay's own words: a proxy, or a wrong address
            raise Unreadable("status 404")
        return Evidence(source=EvidenceSource.INQUIRY, origin=INQUIRY, result=GatewayResult.UNPAID)
    if not answer.ok:
        raise unusable(answer)
    told = parse_as_written(_Told, answer.body)
    if told.reference != attempt.reference:
        _log.warning(
            "inquiry_not_believed",
            gateway="FPT_PAY",
            reference=attempt.reference,
            why="it is about another reference",
        )
        return unknown(INQUIRY)
    return _evidence(INQUIRY, EvidenceSource.INQUIRY, told)


def _read_refund(reversal: Reversal, answer: Answer) -> Evidence:
    if not answer.ok:
        no = rejected(answer)
        # A refused secret, or a reference that is busy, says nothing of what was asked.
        if not no.definite or (no.status == 409 and no.code not in _NO_REFUND):
            raise unusable(answer)
        failure = Failure(code=no.code, message=no.text or "Ví FPT Pay từ chối hoàn tiền.")
        return Evidence(
            source=EvidenceSource.INQUIRY,
            origin=REFUND,
            result=GatewayResult.DECLINED,
            failure=failure,
        )
    told = parse_as_written(_Refund, answer.body)
    if (told.refund_reference, whole(told.amount)) != (reversal.id, reversal.amount):
        raise Unusable("another refund's answer")
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=REFUND,
        result=GatewayResult.PAID,
        gateway_id=told.refund_id,
    )


def _evidence(source: str, grade: EvidenceSource, told: _Told) -> Evidence:
    found = _FINDINGS.get(told.status, GatewayResult.UNKNOWN)
    if found is GatewayResult.UNKNOWN:
        _log.warning("fpt_pay_status_unknown", status=told.status[:20], reference=told.reference)
    sentence = _SENTENCES.get(told.status)
    failure = None
    if sentence is not None:
        failure = Failure(code=(told.reason or told.status)[:64], message=sentence)
    evidence = Evidence(
        source=grade,
        origin=source,
        result=found,
        gateway_id=told.payment_id,
        failure=failure,
    )
    amount, currency = whole(told.amount), known_currency(told.currency)
    return with_sum(evidence, amount, written=told.amount, currency=currency)


def _declined(failure: Failure) -> Evidence:
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=INIT, result=GatewayResult.DECLINED, failure=failure
    )


def _refusal(no: Rejected) -> Failure:
    return Failure(
        code=no.code, message=no.text or "Ví FPT Pay từ chối yêu cầu. Hãy dùng phương thức khác."
    )
