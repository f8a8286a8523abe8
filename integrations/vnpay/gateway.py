"""VNPay's redirect gateway 2.1.0: genqr or pay starts, querydr inquires, the IPN notifies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import orjson
import structlog

from domain.attempts import Attempt, Failure
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import with_amount
from integrations.http.client import Upstream
from integrations.http.conversation import (
    declined_evidence,
    evidence_of_our_fault,
    is_definite,
    untrusted_evidence,
)
from integrations.http.failures import Unreadable, Unusable
from integrations.http.gateway import HttpGateway
from integrations.http.messages import Answer, Request
from integrations.http.parsing import WireModel, parse_success, rejection, unusable
from integrations.http.webhooks import ascii_body, header, parse_form, parse_json_object
from integrations.vnpay import protocol, refunds, requests

_log = structlog.stdlib.get_logger("integrations.vnpay.gateway")

PAGE, MERCHANT_API = "/paymentv2/vpcpay.html", "/merchant_webapi/api/transaction"
GENQR, PAY, QUERYDR, IPN = "vnpay:genqr", "vnpay:pay", "vnpay:querydr", "vnpay:ipn"

_REPLIES = {
    Verdict.ACCEPTED: ("00", "Confirm Success"),
    Verdict.UNKNOWN_REFERENCE: ("01", "Order not found"),
    Verdict.ALREADY_DONE: ("02", "Order already confirmed"),
    Verdict.WRONG_AMOUNT: ("04", "Invalid amount"),
    Verdict.BAD_SIGNATURE: ("97", "Invalid signature"),
    Verdict.OUR_ERROR: ("99", "Unknown error"),
}
_REQUIRED_FIELDS = (
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_TransactionNo",
    "vnp_ResponseCode",
    "vnp_TransactionStatus",
)
_REFERENCE_USED = "94"  # an earlier genqr under our reference was accepted
# What genqr refuses for good: our terminal, a field, the signature; and the expiry, the amount.
# Any other code, 99 above all, does not say whether the reference can still be paid.
_OUR_FAULT, _REFUSED = frozenset({"02", "03", "97"}), frozenset({"11", "93"})


class _GenQrResponse(WireModel):
    code: str
    message: str | None = None
    qrcontent: str | None = None


class VNPay(HttpGateway):
    """
    The first of `hash_secrets` signs, each verifies: there are two during a rotation.

    With `page` the customer is redirected to VNPay's page (pay) instead of scanning our QR (genqr).
    Then `start` sends nothing: VNPay learns of a payment when its page is opened.
    """

    name = GatewayName.VNPAY
    paths = ("vnpay",)
    methods = frozenset({"GET", "POST"})
    revocable = False
    inquiry_interval = 300.0

    def __init__(
        self,
        http: Upstream,
        *,
        tmn_code: str,
        hash_secrets: Sequence[str],
        page: str | None = None,
    ) -> None:
        assert hash_secrets, "VNPay needs a hash secret"
        super().__init__(http)
        self._page = page
        self._tmn_code = tmn_code
        self._secrets = tuple(hash_secrets)

    def ready(self) -> bool:
        return self._page is not None or super().ready()

    def retry_after_ms(self) -> int | None:
        return None if self._page is not None else super().retry_after_ms()

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if not 0 < attempt.money.amount <= protocol.LARGEST_AMOUNT:
            message = "VNPAY không nhận số tiền này. Hãy dùng cách khác."
            return declined_evidence(GENQR, Failure(code="AMOUNT", message=message))
        query = self.payment(attempt, purchase)
        if self._page is not None:
            return Evidence(
                source=None,
                origin=PAY,
                result=GatewayResult.ACCEPTED,
                payment_url=f"{self._page}?{query}",
            )
        request = Request(
            operation="start",
            method="GET",
            path=PAGE,
            query=query,
            subject=purchase.description,
        )
        return await self._charge(GENQR, request, _interpret_genqr)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        def interpret(fields: Mapping[str, str]) -> Evidence:
            return _interpret_inquiry(attempt, fields, now=now)

        return await self._query(QUERYDR, attempt, interpret, now=now)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            fields = _fields_of_answer(answer)
            reason = self._untrusted_reason(attempt, fields, protocol.REFUND_ANSWER_FIELDS)
            if reason is not None:
                return _untrusted(refunds.REFUND, attempt, reason)
            return refunds.interpret_refund(reversal, fields)

        fields = refunds.request_fields(
            attempt, reversal, terminal=self._tmn_code, whole=whole, now=now
        )
        request = Request(
            operation="refund",
            method="POST",
            path=MERCHANT_API,
            body=self._signed(fields, protocol.REFUND_FIELDS),
            subject=attempt.reference,
        )
        return await self._charge(refunds.REFUND, request, read)

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        def interpret(fields: Mapping[str, str]) -> Evidence:
            return refunds.interpret_refund_query(reversal, fields, known=known)

        return await self._query(refunds.REFUND_QUERYDR, attempt, interpret, now=now)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        fields = _fields_of_call(call)
        text = protocol.signed_query_text(fields)
        if not protocol.is_signed(self._secrets, text, fields.get("vnp_SecureHash", "")):
            raise BadCall("the signature does not verify")
        if missing := [name for name in _REQUIRED_FIELDS if not fields.get(name)]:
            raise BadCall(f"{missing[0]} is missing")
        if fields["vnp_TmnCode"] != self._tmn_code:
            raise BadCall("it is for another terminal")
        return (_interpret_event(fields),)

    def answer(self, verdict: Verdict) -> Reply:
        code, message = _REPLIES[verdict]
        return Reply(status=200, body=orjson.dumps({"RspCode": code, "Message": message}))

    def payment(self, attempt: Attempt, purchase: Purchase) -> str:
        """Return the signed query that starts a payment, for our own QR or VNPay's page."""
        fields = requests.payment(
            attempt, purchase, terminal=self._tmn_code, shown_by_us=self._page is None
        )
        text = protocol.signed_query_text(fields)
        return f"{text}&vnp_SecureHash={protocol.sign(self._secrets[0], text)}"

    def querydr(self, attempt: Attempt, *, now: datetime) -> dict[str, str]:
        """Return the signed inquiry about an attempt."""
        fields = requests.query(attempt, terminal=self._tmn_code, now=now)
        return self._signed(fields, protocol.QUERY_FIELDS)

    async def _query(
        self,
        origin: str,
        attempt: Attempt,
        interpret: Callable[[Mapping[str, str]], Evidence],
        *,
        now: datetime,
    ) -> Evidence:
        """Send one querydr. It is not repeatable: VNPay refuses another within five minutes."""

        def read(answer: Answer) -> Evidence:
            fields = _fields_of_answer(answer)
            reason = self._untrusted_reason(attempt, fields, protocol.QUERY_ANSWER_FIELDS)
            return interpret(fields) if reason is None else _untrusted(origin, attempt, reason)

        request = Request(
            operation="inquire",
            method="POST",
            path=MERCHANT_API,
            body=self.querydr(attempt, now=now),
            subject=attempt.reference,
        )
        return await self._inquire(origin, request, read)

    def _signed(self, fields: dict[str, str], order: Sequence[str]) -> dict[str, str]:
        text = protocol.signed_pipe_text(fields, order)
        return fields | {"vnp_SecureHash": protocol.sign(self._secrets[0], text)}

    def _untrusted_reason(
        self, attempt: Attempt, fields: Mapping[str, str], order: Sequence[str]
    ) -> str | None:
        """Return why an answer is not trusted; None for a signed answer about our reference."""
        text = protocol.signed_pipe_text(fields, order)
        refused = fields["vnp_ResponseCode"] != "00"
        if not protocol.is_signed(self._secrets, text, fields.get("vnp_SecureHash", "")):
            return "the signature does not verify"
        if fields.get("vnp_TmnCode") != self._tmn_code:
            return "another terminal"
        if fields.get("vnp_TxnRef", "") not in {attempt.reference, "" if refused else None}:
            return "another reference"
        return None


def _interpret_genqr(answer: Answer) -> Evidence:
    if not answer.ok:
        error = rejection(answer)
        if not is_definite(error.status):
            raise unusable(answer)
        return declined_evidence(GENQR, protocol.failure(error.code))
    response = parse_success(_GenQrResponse, answer)
    if response.code == _REFERENCE_USED:
        raise Unusable("the reference was used before")
    if response.code in _OUR_FAULT:
        return evidence_of_our_fault(GatewayName.VNPAY, GENQR, response.code)
    if response.code in _REFUSED:
        return declined_evidence(GENQR, protocol.failure(response.code))
    if response.code != "00":
        raise Unusable(f"code {response.code[:16]}")
    if not response.qrcontent:
        raise Unreadable("qrcontent: missing")
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=GENQR,
        result=GatewayResult.ACCEPTED,
        qr_payload=response.qrcontent,
    )


def _interpret_inquiry(attempt: Attempt, fields: Mapping[str, str], *, now: datetime) -> Evidence:
    code = fields["vnp_ResponseCode"]
    if code == "91":  # VNPay has no such payment: the QR was not scanned, or genqr never arrived
        return _evidence(QUERYDR, EvidenceSource.INQUIRY, GatewayResult.UNPAID, fields, code=code)
    if code != "00":
        return _untrusted(QUERYDR, attempt, f"code {code[:2]}")
    if fields.get("vnp_TransactionType") != "01":
        return _untrusted(QUERYDR, attempt, "the answer is about a refund")
    status = fields.get("vnp_TransactionStatus", "")
    result = protocol.inquiry_result(status)
    if result is GatewayResult.DECLINED and now >= attempt.expires_at:
        # An answer has no code of its own for a QR that expired unpaid. A decline before that time
        # was reported by IPN.
        result, status = GatewayResult.EXPIRED, "11"
    return _evidence(QUERYDR, EvidenceSource.INQUIRY, result, fields, code=status)


def _interpret_event(fields: Mapping[str, str]) -> Notice:
    response, status = fields["vnp_ResponseCode"], fields["vnp_TransactionStatus"]
    result = protocol.event_result(response, status)
    if result is GatewayResult.UNKNOWN:
        _log.warning("vnpay_codes_contradict", response=response, status=status)
    reference, amount = fields["vnp_TxnRef"], fields["vnp_Amount"][:64]
    code = status if response == "00" else response
    return Notice(
        event_id=":".join((reference, fields["vnp_TransactionNo"], response, status, amount)),
        reference=reference,
        evidence=_evidence(IPN, EvidenceSource.WEBHOOK, result, fields, code=code),
    )


def _evidence(
    origin: str,
    source: EvidenceSource,
    result: GatewayResult,
    fields: Mapping[str, str],
    *,
    code: str,
) -> Evidence:
    failed = result not in {GatewayResult.PAID, GatewayResult.UNPAID}
    evidence = Evidence(
        source=source,
        origin=origin,
        result=result,
        gateway_id=protocol.transaction_number(fields),
        failure=protocol.failure(code) if failed else None,
    )
    raw = fields.get("vnp_Amount", "")
    return with_amount(evidence, protocol.parse_amount(raw), raw=raw, currency=Currency.VND)


def _untrusted(origin: str, attempt: Attempt, reason: str) -> Evidence:
    return untrusted_evidence(GatewayName.VNPAY, origin, attempt.reference, reason=reason)


def _fields_of_answer(answer: Answer) -> dict[str, str]:
    """Return the fields of an answer, with a response code. Raises Unreadable."""
    if not answer.ok:
        raise unusable(answer)
    return {"vnp_ResponseCode": ""} | protocol.parse_fields(answer.body)


def _fields_of_call(call: Call) -> dict[str, str]:
    """Return the fields of VNPay's call, from a query, a form or JSON. Raises BadCall."""
    if call.method.upper() != "POST" or not call.body:
        fields = parse_form(call.query)
    elif header(call, "content-type").partition(";")[0].strip().lower() == "application/json":
        fields = parse_json_object(call.body)
    else:
        fields = parse_form(ascii_body(call))
    present = {name: value for name, value in fields.items() if value is not None}
    for name, value in present.items():
        if not isinstance(value, str):
            raise BadCall(f"{name[:40]} is not text")
    return {name: value for name, value in present.items() if name.startswith("vnp_")}
