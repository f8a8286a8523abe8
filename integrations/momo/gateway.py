"""MoMo, the customer's wallet, AIO v2: create to begin, query to ask, and an IPN that comes once or never."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import structlog
from pydantic import Field

from domain.attempts import Attempt, Failure
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import whole, with_sum
from integrations.http.client import Answer, Unreadable, Unusable, Upstream
from integrations.http.conversation import asked, begun, unheard, unknown
from integrations.http.json_text import Number
from integrations.http.parsing import Text, Wire, parse, parse_as_written
from integrations.http.webhooks import event, json_object
from integrations.momo import protocol, refunds

_log = structlog.stdlib.get_logger("integrations.momo.gateway.gateway")

CREATE, QUERY, IPN = "momo:create", "momo:query", "momo:ipn"

# Understood is 204 and no body. MoMo calls once: what is not understood is seen in its portal only.
_ANSWERS = {
    Verdict.ACCEPTED: (204, None),
    Verdict.ALREADY_DONE: (204, None),
    Verdict.WRONG_AMOUNT: (204, None),
    Verdict.UNKNOWN_REFERENCE: (404, 42),
    Verdict.BAD_SIGNATURE: (401, 13),
    Verdict.OUR_ERROR: (500, 99),
}


class _Told(Wire):
    """What every answer has. A refusal may leave out whose it is; the amount is judged apart."""

    partnerCode: str | None = None
    orderId: str | None = None
    resultCode: int
    message: str | None = None


class _Created(_Told):
    payUrl: str | None = Field(default=None, pattern=r"^https?://[!-~]{3,2000}$")
    qrCodeUrl: str | None = None


class _Queried(_Told):
    amount: Any = None
    transId: Any = None


class _Event(Wire):
    orderId: Text
    requestId: Text
    partnerCode: Text
    signature: Text
    resultCode: int
    amount: Any = None
    transId: Any = None


class MoMo:
    """The first of `secret_keys` signs, any of them verifies: two during a rotation."""

    name = GatewayName.MOMO
    paths = ("momo",)
    methods = frozenset({"POST"})
    revocable = False
    ask_again_after = 3.0

    def __init__(
        self, http: Upstream, *, partner_code: str, access_key: str, secret_keys: Sequence[str]
    ) -> None:
        assert secret_keys, "MoMo needs a secret key"
        self._http = http
        self._partner_code = partner_code
        self._access_key = access_key
        self._secrets = tuple(secret_keys)

    def ready(self) -> bool:
        return self._http.ready("start")

    def retry_after_ms(self) -> int | None:
        return self._http.retry_after_ms("start")

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if not protocol.SMALLEST_AMOUNT <= attempt.money.amount <= protocol.LARGEST_AMOUNT:
            return _declined(protocol.failure(22))

        def read(answer: Answer) -> Evidence:
            return self._read_create(attempt, answer)

        return await begun(
            self.name,
            CREATE,
            self._http.call(
                "start",
                "POST",
                "/v2/gateway/api/create",
                body=self.create(attempt, purchase),
                read=read,
                repeatable=False,
                subject=purchase.description,
            ),
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        def read(answer: Answer) -> Evidence:
            return self._read_query(attempt, answer)

        return await asked(
            QUERY,
            self._http.call(
                "inquire",
                "POST",
                "/v2/gateway/api/query",
                body=self.query(attempt, now=now),
                read=read,
                repeatable=True,
                subject=attempt.reference,
            ),
        )

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        def read(answer: Answer) -> Evidence:
            return refunds.answered(reversal, self._partner_code, answer)

        fields = self._signed(refunds.request(attempt, reversal), protocol.REFUND)
        return await begun(
            self.name,
            refunds.REFUND,
            self._http.call(
                "refund",
                "POST",
                "/v2/gateway/api/refund",
                body=fields | {"lang": "vi"},
                read=read,
                repeatable=False,
                subject=attempt.reference,
            ),
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Ask by the order, whose answer lists its refunds."""

        def read(answer: Answer) -> Evidence:
            return refunds.told(attempt, reversal, self._partner_code, answer, now=now)

        return await asked(
            refunds.REFUND_QUERY,
            self._http.call(
                "inquire",
                "POST",
                "/v2/gateway/api/query",
                body=self.query(attempt, now=now),
                read=read,
                repeatable=True,
                subject=attempt.reference,
            ),
        )

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        fields = json_object(call.body)
        signed = self._signed_by_them(fields)
        if not protocol.reads_in_one_way(signed, protocol.IPN):
            raise BadCall("what is signed can be read in two ways")
        text = protocol.canonical(signed, protocol.IPN)
        signature = fields.get("signature")
        if not isinstance(signature, str):
            raise BadCall("the signature is missing")
        if not protocol.is_signed(self._secrets, text, signature):
            raise BadCall("the signature does not verify")
        told = event(_Event, fields)
        if told.partnerCode != self._partner_code:
            raise BadCall("it is for another partner")
        notice = Notice(
            event_id=f"{told.orderId}:{told.transId}:{told.resultCode}:{told.amount}"[:180],
            reference=told.orderId,
            evidence=_evidence(
                IPN, EvidenceSource.WEBHOOK, told.resultCode, told.amount, told.transId
            ),
        )
        return (notice,)

    def answer(self, verdict: Verdict) -> Reply:
        status, code = _ANSWERS[verdict]
        return Reply(
            status=status, body=b"" if code is None else orjson.dumps({"resultCode": code})
        )

    def create(self, attempt: Attempt, purchase: Purchase) -> dict[str, Any]:
        """Return the signed request that asks for a payment in one step."""
        return self._signed(
            {
                "requestId": attempt.reference,
                "amount": attempt.money.amount,
                "orderId": attempt.reference,
                "orderInfo": protocol.text(purchase.description) or attempt.reference,
                "redirectUrl": purchase.return_url,
                "ipnUrl": purchase.notify_url,
                "requestType": "captureWallet",
                "extraData": "",
            },
            protocol.CREATE,
        ) | {"autoCapture": True, "lang": "vi"}

    def query(self, attempt: Attempt, *, now: datetime) -> dict[str, Any]:
        """Return the signed question about an attempt; its id is new with every moment."""
        asked_at = f"{attempt.reference} {now.isoformat()}".encode()
        return self._signed(
            {
                "requestId": hashlib.blake2b(asked_at, digest_size=16).hexdigest(),
                "orderId": attempt.reference,
            },
            protocol.QUERY,
        ) | {"lang": "vi"}

    def _signed(self, fields: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
        """Return *fields* with whose they are and their signature."""
        fields |= {"partnerCode": self._partner_code}
        text = protocol.canonical(fields | {"accessKey": self._access_key}, order)
        return fields | {"signature": protocol.sign(self._secrets[0], text)}

    def _signed_by_them(self, fields: Mapping[str, Any]) -> dict[str, str]:
        signed = dict(fields) | {"accessKey": self._access_key}
        for name in protocol.IPN:
            if type(signed.get(name)) not in {str, int, Number}:
                raise BadCall(f"{name} is missing or malformed")
        return {name: str(signed[name]) for name in protocol.IPN}

    def _read_create(self, attempt: Attempt, answer: Answer) -> Evidence:
        """
        Only MoMo's own code is a word about this order: no status without one is.

        422 with 7000 is about a request that is still being worked on, and so unknown like the rest.
        """
        told = parse(_Created, answer.body)
        if protocol.is_refused(told.resultCode) and told.orderId in {None, attempt.reference}:
            if protocol.is_ours(told.resultCode):
                return unheard(self.name, CREATE, str(told.resultCode))
            return _declined(protocol.failure(told.resultCode))
        if not answer.ok or told.resultCode != 0:
            raise Unusable(f"status {answer.status}, code {told.resultCode}")
        if not self._is_about(attempt, told):
            raise Unusable("it is about another order")
        if told.payUrl is None:
            raise Unreadable("payUrl: missing")
        return Evidence(
            source=EvidenceSource.INQUIRY,
            origin=CREATE,
            result=GatewayResult.ACCEPTED,
            payment_url=told.payUrl,
            qr_payload=told.qrCodeUrl or None,
        )

    def _read_query(self, attempt: Attempt, answer: Answer) -> Evidence:
        told = parse_as_written(_Queried, answer.body)
        if not self._is_about(attempt, told):
            _log.warning(
                "inquiry_not_believed",
                gateway="MOMO",
                reference=attempt.reference,
                code=told.resultCode,
                why="it is about another order",
            )
            return unknown(QUERY)
        return _evidence(QUERY, EvidenceSource.INQUIRY, told.resultCode, told.amount, told.transId)

    def _is_about(self, attempt: Attempt, told: _Told) -> bool:
        return (told.partnerCode, told.orderId) == (self._partner_code, attempt.reference)


def _evidence(source: str, grade: EvidenceSource, code: int, amount: Any, number: Any) -> Evidence:
    found = protocol.result(code)
    known = str(number) if type(number) in {int, str} else ""
    evidence = Evidence(
        source=grade,
        origin=source,
        result=found,
        gateway_id=known if known.strip("0") else None,
        failure=(
            protocol.failure(code)
            if found in {GatewayResult.DECLINED, GatewayResult.EXPIRED}
            else None
        ),
    )
    return with_sum(evidence, whole(amount), written=amount, currency=Currency.VND)


def _declined(failure: Failure) -> Evidence:
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=CREATE, result=GatewayResult.DECLINED, failure=failure
    )
