"""MoMo, the customer's wallet, AIO v2: `create` starts, `query` inquires, the IPN is sent once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from pydantic import Field

from domain.attempts import Attempt
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.references import is_ours
from domain.reversals import Reversal
from integrations.amounts import whole_number, with_amount
from integrations.http.client import Upstream
from integrations.http.conversation import (
    declined_evidence,
    evidence_of_our_fault,
    untrusted_evidence,
)
from integrations.http.failures import Unreadable, Unusable
from integrations.http.gateway import HttpGateway
from integrations.http.json_text import RawNumber
from integrations.http.messages import Answer, Request
from integrations.http.parsing import Text, WireModel, parse, parse_with_raw_numbers
from integrations.http.webhooks import notice_without_evidence, parse_event, parse_json_object
from integrations.momo import protocol, refunds

_MAX_EVENT_ID = 180  # characters: an unreadable sum adds 17, and the column has 200

CREATE, QUERY, IPN = "momo:create", "momo:query", "momo:ipn"

# An accepted call gets 204 and no body. MoMo calls once: a refused call shows only in its portal.
_REPLIES = {
    Verdict.ACCEPTED: (204, None),
    Verdict.ALREADY_DONE: (204, None),
    Verdict.WRONG_AMOUNT: (204, None),
    Verdict.UNKNOWN_REFERENCE: (404, 42),
    Verdict.BAD_SIGNATURE: (401, 13),
    Verdict.OUR_ERROR: (500, 99),
}


class _Response(WireModel):
    """The common part of all answers. A refusal may leave out partner and order."""

    partnerCode: str | None = None
    orderId: str | None = None
    resultCode: int
    message: str | None = None


class _CreateResponse(_Response):
    payUrl: str | None = Field(default=None, pattern=r"^https?://[!-~]{3,2000}$")
    qrCodeUrl: str | None = None


class _QueryResponse(_Response):
    """`amount` and `transId` are read separately."""

    amount: Any = None
    transId: Any = None


class _Event(WireModel):
    orderId: Text
    requestId: Text
    partnerCode: Text
    signature: Text
    resultCode: int
    amount: Any = None
    transId: Any = None


class MoMo(HttpGateway):
    """The first of `secret_keys` signs, each verifies: there are two during a rotation."""

    name = GatewayName.MOMO
    paths = ("momo",)
    methods = frozenset({"POST"})
    revocable = False
    inquiry_interval = 3.0

    def __init__(
        self, http: Upstream, *, partner_code: str, access_key: str, secret_keys: Sequence[str]
    ) -> None:
        assert secret_keys, "MoMo needs a secret key"
        super().__init__(http)
        self._partner_code = partner_code
        self._access_key = access_key
        self._secrets = tuple(secret_keys)

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if not protocol.SMALLEST_AMOUNT <= attempt.money.amount <= protocol.LARGEST_AMOUNT:
            return declined_evidence(CREATE, protocol.failure(22))
        request = Request(
            operation="start",
            method="POST",
            path="/v2/gateway/api/create",
            body=self.create(attempt, purchase),
            subject=purchase.description,
        )
        return await self._charge(
            CREATE, request, lambda answer: self._interpret_create(attempt, answer)
        )

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        def read(answer: Answer) -> Evidence:
            return self._interpret_query(attempt, answer)

        return await self._query(QUERY, attempt, read, now=now)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        fields = refunds.request_fields(attempt, reversal)
        request = Request(
            operation="refund",
            method="POST",
            path="/v2/gateway/api/refund",
            body=self._signed(fields, protocol.REFUND_FIELDS) | {"lang": "vi"},
            subject=attempt.reference,
        )
        return await self._charge(
            refunds.REFUND,
            request,
            lambda answer: refunds.interpret_refund(reversal, self._partner_code, answer),
        )

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """Query the order: its answer lists the order's refunds."""

        def read(answer: Answer) -> Evidence:
            listed = refunds.listed_refunds(attempt, self._partner_code, answer)
            return refunds.interpret_refund_query(reversal, listed, now=now)

        return await self._query(refunds.REFUND_QUERY, attempt, read, now=now)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        fields = parse_json_object(call.body)
        signed = self._signed_values(fields)
        text = protocol.signed_text(signed, protocol.IPN_FIELDS)
        signature = fields.get("signature")
        if not isinstance(signature, str):
            raise BadCall("the signature is missing")
        if not protocol.is_signed(self._secrets, text, signature):
            raise BadCall("the signature does not verify")
        if signed["partnerCode"] != self._partner_code:
            raise BadCall("it is for another partner")
        event_id = _event_id(signed)
        try:
            event = self._read_event(signed, fields)
        except BadCall as error:
            if is_ours(text):  # cut in another way, the signed text could name an order of ours
                raise
            return (notice_without_evidence(event_id, [signed["orderId"]], problem=error.reason),)
        notice = Notice(
            event_id=event_id,
            reference=event.orderId,
            evidence=_evidence(IPN, EvidenceSource.WEBHOOK, event),
        )
        return (notice,)

    def _read_event(self, signed: Mapping[str, str], fields: dict[str, Any]) -> _Event:
        """Return the event of a verified IPN. Raises BadCall."""
        if not protocol.is_unambiguous(signed, protocol.IPN_FIELDS):
            raise BadCall("what is signed can be read in two ways")
        return parse_event(_Event, fields)

    def answer(self, verdict: Verdict) -> Reply:
        status, code = _REPLIES[verdict]
        return Reply(
            status=status, body=b"" if code is None else orjson.dumps({"resultCode": code})
        )

    def create(self, attempt: Attempt, purchase: Purchase) -> dict[str, Any]:
        """Return the signed request for a payment in one step."""
        return self._signed(
            {
                "requestId": attempt.reference,
                "amount": attempt.money.amount,
                "orderId": attempt.reference,
                "orderInfo": protocol.unambiguous(purchase.description) or attempt.reference,
                "redirectUrl": purchase.return_url,
                "ipnUrl": purchase.notify_url,
                "requestType": "captureWallet",
                "extraData": "",
            },
            protocol.CREATE_FIELDS,
        ) | {"autoCapture": True, "lang": "vi"}

    def query(self, attempt: Attempt, *, now: datetime) -> dict[str, Any]:
        """Return the signed inquiry about an attempt. Its id depends on *now*, so it is unique."""
        seed = f"{attempt.reference} {now.isoformat()}".encode()
        return self._signed(
            {
                "requestId": hashlib.blake2b(seed, digest_size=16).hexdigest(),
                "orderId": attempt.reference,
            },
            protocol.QUERY_FIELDS,
        ) | {"lang": "vi"}

    async def _query(
        self, origin: str, attempt: Attempt, read: Callable[[Answer], Evidence], *, now: datetime
    ) -> Evidence:
        request = Request(
            operation="inquire",
            method="POST",
            path="/v2/gateway/api/query",
            body=self.query(attempt, now=now),
            subject=attempt.reference,
            repeatable=True,
        )
        return await self._inquire(origin, request, read)

    def _signed(self, fields: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
        """Return *fields* with our partner code and their signature."""
        fields |= {"partnerCode": self._partner_code}
        text = protocol.signed_text(fields | {"accessKey": self._access_key}, order)
        return fields | {"signature": protocol.sign(self._secrets[0], text)}

    def _signed_values(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Return the signed values of an IPN as text. Raises BadCall if one is missing."""
        signed = dict(fields) | {"accessKey": self._access_key}
        for name in protocol.IPN_FIELDS:
            if type(signed.get(name)) not in {str, int, RawNumber}:
                raise BadCall(f"{name} is missing or malformed")
        return {name: str(signed[name]) for name in protocol.IPN_FIELDS}

    def _interpret_create(self, attempt: Attempt, answer: Answer) -> Evidence:
        """
        Return what MoMo's own code says of the order. A status alone decides nothing.

        422 with 7000 is about a request that is still being processed, and so is unknown.
        """
        response = parse(_CreateResponse, answer.body)
        code = response.resultCode
        if protocol.is_create_refused(code) and response.orderId in {None, attempt.reference}:
            if protocol.is_our_fault(code):
                return evidence_of_our_fault(self.name, CREATE, str(code))
            return declined_evidence(CREATE, protocol.failure(code))
        if not answer.ok or code != 0:
            raise Unusable(f"status {answer.status}, code {code}")
        if not self._is_about(attempt, response):
            raise Unusable("the answer is about another order")
        if response.payUrl is None:
            raise Unreadable("payUrl: missing")
        return Evidence(
            source=EvidenceSource.INQUIRY,
            origin=CREATE,
            result=GatewayResult.ACCEPTED,
            payment_url=response.payUrl,
            qr_payload=response.qrCodeUrl or None,
        )

    def _interpret_query(self, attempt: Attempt, answer: Answer) -> Evidence:
        response = parse_with_raw_numbers(_QueryResponse, answer.body)
        if not self._is_about(attempt, response):
            return untrusted_evidence(self.name, QUERY, attempt.reference, reason="another order")
        return _evidence(QUERY, EvidenceSource.INQUIRY, response)

    def _is_about(self, attempt: Attempt, response: _Response) -> bool:
        expected = (self._partner_code, attempt.reference)
        return (response.partnerCode, response.orderId) == expected


def _event_id(signed: Mapping[str, str]) -> str:
    """Return the identity of an IPN; of a long one, its start and the hash of all of it."""
    identity = ":".join(signed[name] for name in ("orderId", "transId", "resultCode", "amount"))
    if len(identity) <= _MAX_EVENT_ID:
        return identity
    hashed = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    return f"{identity[: _MAX_EVENT_ID - len(hashed) - 1]}:{hashed}"


def _evidence(origin: str, source: EvidenceSource, payment: _QueryResponse | _Event) -> Evidence:
    code = payment.resultCode
    result = protocol.payment_result(code)
    failed = result in {GatewayResult.DECLINED, GatewayResult.EXPIRED}
    evidence = Evidence(
        source=source,
        origin=origin,
        result=result,
        gateway_id=protocol.transaction_number(payment.transId),
        failure=protocol.failure(code) if failed else None,
    )
    raw = payment.amount
    return with_amount(evidence, whole_number(raw), raw=raw, currency=Currency.VND)
