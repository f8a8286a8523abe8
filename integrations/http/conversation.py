"""How the end of a call to a gateway becomes Evidence: its answer, a refusal, or silence."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog

from domain.attempts import Failure
from domain.gateways import GatewayUnavailable
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.http.failures import BreakerOpen, NotConnected, Unanswered

# Bytes: the widths of our columns, and of a QR that scans with a seventh of it damaged.
MAX_GATEWAY_ID, MAX_CODE, MAX_TEXT, MAX_QR = 128, 64, 4000, 2331

_log = structlog.stdlib.get_logger("integrations.http.conversation")

# Every other 4xx means that nothing was started. These may come while an earlier request
# under the same reference is being processed.
_NOT_DEFINITE = frozenset({408, 409, 425})


async def evidence_of_charge(
    gateway: GatewayName, origin: str, call: Awaitable[Evidence]
) -> Evidence:
    """
    Return the evidence of a call that starts a payment or a refund.

    Raises GatewayUnavailable where the breaker is open; no other failure raises.
    """
    try:
        return _storable_or_unknown(await call)
    except BreakerOpen as error:
        raise GatewayUnavailable(gateway=gateway, retry_after_ms=error.retry_after_ms) from error
    except NotConnected:
        failure = Failure(
            code="GATEWAY_UNAVAILABLE",
            message="Không kết nối được tới cổng thanh toán. Chưa có khoản tiền nào bị trừ.",
        )
        return Evidence(
            source=None, origin=origin, result=GatewayResult.NOT_CONNECTED, failure=failure
        )
    except Unanswered:
        return unknown_evidence(origin)


async def evidence_of_inquiry(origin: str, call: Awaitable[Evidence]) -> Evidence:
    """Return the evidence of a call that changes nothing; UNKNOWN where it failed."""
    try:
        return _storable_or_unknown(await call)
    except (NotConnected, Unanswered):
        return unknown_evidence(origin)


def evidence_of_our_fault(gateway: GatewayName, origin: str, code: str) -> Evidence:
    """Log that a gateway rejects our account, key or form, and return DECLINED without its code."""
    _log.error("gateway_refuses_us", gateway=gateway, origin=origin, code=code)
    failure = Failure(
        code="GATEWAY_UNAVAILABLE",
        message="Cổng thanh toán không nhận yêu cầu của hệ thống. Chưa có khoản tiền nào bị trừ;"
        " hãy dùng phương thức khác.",
    )
    return declined_evidence(origin, failure)


def declined_evidence(origin: str, failure: Failure) -> Evidence:
    return Evidence(
        source=EvidenceSource.INQUIRY,
        origin=origin,
        result=GatewayResult.DECLINED,
        failure=failure,
    )


def unpaid_evidence(origin: str) -> Evidence:
    return Evidence(source=EvidenceSource.INQUIRY, origin=origin, result=GatewayResult.UNPAID)


def unknown_evidence(origin: str) -> Evidence:
    return Evidence(source=None, origin=origin, result=GatewayResult.UNKNOWN)


def untrusted_evidence(
    gateway: GatewayName, origin: str, reference: str, *, reason: str
) -> Evidence:
    """Log why an answer is not trusted, and return UNKNOWN."""
    _log.warning(
        "untrusted_answer", gateway=gateway, origin=origin, reference=reference, reason=reason
    )
    return unknown_evidence(origin)


def _storable_or_unknown(evidence: Evidence) -> Evidence:
    if is_storable(evidence):
        return evidence
    _log.warning("unstorable_answer", origin=evidence.origin, result=evidence.result)
    return unknown_evidence(evidence.origin)


def is_storable(evidence: Evidence) -> bool:
    """Return whether our columns can hold every text in *evidence*, and a QR its payload."""
    failure = evidence.failure
    texts = (
        (evidence.gateway_id, MAX_GATEWAY_ID),
        (failure and failure.code, MAX_CODE),
        (failure and failure.message, MAX_TEXT),
        (evidence.payment_url, MAX_TEXT),
        (evidence.qr_payload, MAX_QR),
    )
    return all("\0" not in text and len(text.encode()) <= width for text, width in texts if text)


def is_definite(status: int) -> bool:
    """Return whether an HTTP status means that the request was not and will not be processed."""
    return 400 <= status < 500 and status not in _NOT_DEFINITE
