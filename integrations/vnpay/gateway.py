"""VNPay's redirect gateway 2.1.0: genqr or pay to begin, querydr to ask, the IPN to be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import orjson
import structlog

from domain.attempts import Attempt, Failure
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import with_sum
from integrations.http.client import Answer, Unreadable, Unusable, Upstream
from integrations.http.conversation import asked, begun, is_definite, unheard, unknown
from integrations.http.parsing import Wire, expect, rejected, unusable
from integrations.http.webhooks import form, header, json_object, text_body
from integrations.vnpay import protocol, refunds, requests

_log = structlog.stdlib.get_logger("integrations.vnpay.gateway.gateway")

PAGE, MERCHANT_API = "/paymentv2/vpcpay.html", "/merchant_webapi/api/transaction"
GENQR, PAY, QUERYDR, IPN = "vnpay:genqr", "vnpay:pay", "vnpay:querydr", "vnpay:ipn"

_ANSWERS = {
    Verdict.ACCEPTED: ("00", "Confirm Success"),
    Verdict.UNKNOWN_REFERENCE: ("01", "Order not found"),
    Verdict.ALREADY_DONE: ("02", "Order already confirmed"),
    Verdict.WRONG_AMOUNT: ("04", "Invalid amount"),
    Verdict.BAD_SIGNATURE: ("97", "Invalid signature"),
    Verdict.OUR_ERROR: ("99", "Unknown error"),
}
_NEEDED = (
    "vnp_TmnCode",
    "vnp_TxnRef",
    "vnp_Amount",
    "vnp_TransactionNo",
    "vnp_ResponseCode",
    "vnp_TransactionStatus",
)
_USED_TODAY = "94"  # an earlier genqr under our reference was accepted
# What genqr refuses for good: our terminal, a field, the signature; the expiry, the amount. Any other
# code, 99 above all, says nothing about whether the reference can still be paid.
_OURS, _REFUSED = frozenset({"02", "03", "97"}), frozenset({"11", "93"})


class _GenQr(Wire):
    code: str
    message: str | None = None
    qrcontent: str | None = None


class VNPay:
    """
    The first of `hash_secrets` signs, any of them verifies: two during a rotation.

    A QR is asked for (genqr) or, with the `page` of VNPay, the customer is sent there to scan it (pay):
    then nobody is asked to begin, and VNPay hears of a payment when its page is opened.
    """

    name = GatewayName.VNPAY
    paths = ("vnpay",)
    methods = frozenset({"GET", "POST"})
    revocable = False
    ask_again_after = 300.0

    def __init__(
        self,
        http: Upstream,
        *,
        tmn_code: str,
        hash_secrets: Sequence[str],
        page: str | None = None,
    ) -> None:
        assert hash_secrets, "VNPay needs a hash secret"
        self._http = http
        self._page = page
        self._tmn_code = tmn_code
        self._secrets = tuple(hash_secrets)

    def ready(self) -> bool:
        return self._page is not None or self._http.ready("start")

    def retry_after_ms(self) -> int | None:
        return None if self._page is not None else self._http.retry_after_ms("start")

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if not 0 < attempt.money.amount <= protocol.LARGEST_AMOUNT:
            return _declined(
                Failure(code="AMOUNT", message="VNPAY không nhận số tiền này. Hãy dùng cách khác.")
            )
        query = self.payment(attempt, purchase)
        if self._page is not None:
            address = f"{self._page}?{query}"
            return Evidence(
                source=None, origin=PAY, result=GatewayResult.ACCEPTED, payment_url=address
            )
        return await begun(
            self.name,
            GENQR,
            self._http.call(
                "start",
                "GET",
                PAGE,
                query=query,
                read=_read_genqr,
                repeatable=False,
                subject=purchase.description,
            ),
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        def read(answer: Answer) -> Evidence:
            return self._read_inquiry(attempt, answer, now=now)

        return await asked(
            QUERYDR,
            self._http.call(
                "inquire",
                "POST",
                MERCHANT_API,
                body=self.querydr(attempt, now=now),
                read=read,
                repeatable=False,  # a second one within five minutes is refused
                subject=attempt.reference,
            ),
        )

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            fields = self._believed(attempt, answer, protocol.REFUND_ANSWER)
            said = None if fields is None else refunds.answered(reversal, fields)
            return said or unknown(refunds.REFUND)

        fields = refunds.request(attempt, reversal, terminal=self._tmn_code, whole=whole, now=now)
        return await begun(
            self.name,
            refunds.REFUND,
            self._http.call(
                "refund",
                "POST",
                MERCHANT_API,
                body=self._signed(fields),
                read=read,
                repeatable=False,
                subject=attempt.reference,
            ),
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            fields = self._believed(attempt, answer, protocol.QUERY_ANSWER)
            said = None if fields is None else refunds.told(reversal, fields, known=known, now=now)
            return said or unknown(refunds.REFUND_QUERYDR)

        return await asked(
            refunds.REFUND_QUERYDR,
            self._http.call(
                "inquire",
                "POST",
                MERCHANT_API,
                body=self.querydr(attempt, now=now),
                read=read,
                repeatable=False,
                subject=attempt.reference,
            ),
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        fields = _fields(call)
        text = protocol.canonical(fields)
        if not protocol.is_signed(self._secrets, text, fields.get("vnp_SecureHash", "")):
            raise BadCall("the signature does not verify")
        if missing := [name for name in _NEEDED if not fields.get(name)]:
            raise BadCall(f"{missing[0]} is missing")
        if fields["vnp_TmnCode"] != self._tmn_code:
            raise BadCall("it is for another terminal")
        response, status = fields["vnp_ResponseCode"], fields["vnp_TransactionStatus"]
        found = protocol.result(response, status)
        if found is GatewayResult.UNKNOWN:
            _log.warning("vnpay_codes_contradict", response=response, status=status)
        notice = Notice(
            event_id=":".join(
                (
                    fields["vnp_TxnRef"],
                    fields["vnp_TransactionNo"],
                    response,
                    status,
                    fields["vnp_Amount"][:64],
                )
            ),
            reference=fields["vnp_TxnRef"],
            evidence=_evidence(
                IPN,
                EvidenceSource.WEBHOOK,
                found,
                fields,
                code=status if response == "00" else response,
            ),
        )
        return (notice,)

    def answer(self, verdict: Verdict) -> Reply:
        code, message = _ANSWERS[verdict]
        return Reply(status=200, body=orjson.dumps({"RspCode": code, "Message": message}))

    def payment(self, attempt: Attempt, purchase: Purchase) -> str:
        """Return the signed query that begins a payment by QR: ours to show, or on VNPay's page."""
        fields = requests.payment(
            attempt, purchase, terminal=self._tmn_code, shown_by_us=self._page is None
        )
        text = protocol.canonical(fields)
        return f"{text}&vnp_SecureHash={protocol.sign(self._secrets[0], text)}"

    def querydr(self, attempt: Attempt, *, now: datetime) -> dict[str, str]:
        """Return the signed question about an attempt."""
        return self._signed(
            requests.query(attempt, terminal=self._tmn_code, now=now), protocol.QUERY
        )

    def _signed(
        self, fields: dict[str, str], order: Sequence[str] = protocol.REFUND
    ) -> dict[str, str]:
        text = protocol.piped(fields, order)
        return fields | {"vnp_SecureHash": protocol.sign(self._secrets[0], text)}

    def _read_inquiry(self, attempt: Attempt, answer: Answer, *, now: datetime) -> Evidence:
        fields = self._believed(attempt, answer, protocol.QUERY_ANSWER)
        if fields is None:
            return unknown(QUERYDR)
        code = fields["vnp_ResponseCode"]
        if code == "91":  # VNPay has no such payment: nobody scanned, or genqr never arrived
            return _evidence(
                QUERYDR, EvidenceSource.INQUIRY, GatewayResult.UNPAID, fields, code=code
            )
        if code != "00":
            _disbelieve(attempt, f"code {code[:2]}")
            return unknown(QUERYDR)
        if fields.get("vnp_TransactionType") != "01":
            _disbelieve(attempt, "it is about a refund")
            return unknown(QUERYDR)
        status = fields.get("vnp_TransactionStatus", "")
        found = protocol.state(status)
        if found is GatewayResult.DECLINED and now >= attempt.expires_at:
            # An answer has no code of its own for a QR that nobody paid in time. A decline before
            # that came by IPN.
            found, status = GatewayResult.EXPIRED, "11"
        return _evidence(QUERYDR, EvidenceSource.INQUIRY, found, fields, code=status)

    def _believed(
        self, attempt: Attempt, answer: Answer, order: Sequence[str]
    ) -> dict[str, str] | None:
        """Return the fields of a signed answer about our reference; None for any other."""
        if not answer.ok:
            raise unusable(answer)
        fields = {"vnp_ResponseCode": ""} | protocol.flat(answer.body)
        text = protocol.piped(fields, order)
        refused = fields["vnp_ResponseCode"] != "00"
        if not protocol.is_signed(self._secrets, text, fields.get("vnp_SecureHash", "")):
            _disbelieve(attempt, "the signature does not verify")
        elif fields.get("vnp_TmnCode") != self._tmn_code:
            _disbelieve(attempt, "it is for another terminal")
        elif fields.get("vnp_TxnRef", "") not in {attempt.reference, "" if refused else None}:
            _disbelieve(attempt, "it is about another reference")
        else:
            return fields
        return None


def _read_genqr(answer: Answer) -> Evidence:
    if not answer.ok:
        no = rejected(answer)
        if not is_definite(no.status):
            raise unusable(answer)
        return _declined(protocol.failure(no.code))
    told = expect(_GenQr, answer)
    if told.code == _USED_TODAY:
        raise Unusable("the reference was used before")
    if told.code in _OURS:
        return unheard(GatewayName.VNPAY, GENQR, told.code)
    if told.code in _REFUSED:
        return _declined(protocol.failure(told.code))
    if told.code != "00":
        raise Unusable(f"code {told.code[:16]}")
    if not told.qrcontent:
        raise Unreadable("qrcontent: missing")
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=GENQR,
        result=GatewayResult.ACCEPTED,
        qr_payload=told.qrcontent,
    )


def _declined(failure: Failure) -> Evidence:
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=GENQR, result=GatewayResult.DECLINED, failure=failure
    )


def _evidence(
    source: str,
    grade: EvidenceSource,
    found: GatewayResult,
    fields: Mapping[str, str],
    *,
    code: str,
) -> Evidence:
    number = fields.get("vnp_TransactionNo", "")
    good = found in {GatewayResult.PAID, GatewayResult.UNPAID}
    evidence = Evidence(
        source=grade,
        origin=source,
        result=found,
        gateway_id=number if number.strip("0") else None,
        failure=None if good else protocol.failure(code),
    )
    written = fields.get("vnp_Amount", "")
    return with_sum(evidence, protocol.from_wire(written), written=written, currency=Currency.VND)


def _disbelieve(attempt: Attempt, why: str) -> None:
    _log.warning("answer_not_believed", gateway="VNPAY", reference=attempt.reference, why=why)


def _fields(call: Call) -> dict[str, str]:
    if call.method.upper() != "POST" or not call.body:
        told = form(call.query)
    elif header(call, "content-type").partition(";")[0].strip().lower() == "application/json":
        told = json_object(call.body)
    else:
        told = form(text_body(call))
    given = {name: value for name, value in told.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise BadCall(f"{name[:40]} is not text")
    return {name: value for name, value in given.items() if name.startswith("vnp_")}
