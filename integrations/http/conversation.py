"""What conversations with gateways have in common: how silence becomes Evidence, and a 4xx an outcome."""

from __future__ import annotations

from collections.abc import Awaitable

import structlog

from domain.attempts import Failure
from domain.gateways import GatewayUnavailable
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.http.client import NotSent, Stopped, Unanswered

# Bytes: what our columns hold at least, and what a QR does that is still read with a seventh of it dirty.
LONGEST_NUMBER, LONGEST_CODE, LONGEST_TEXT, LARGEST_QR = 128, 64, 4000, 2331

_log = structlog.stdlib.get_logger("integrations.http.client.conversation")

# Every other 4xx says definitively that nothing was begun. These may be said while an earlier
# request under the same reference is alive.
_NOT_DEFINITE = frozenset({408, 409, 425})


async def begun(gateway: GatewayName, source: str, question: Awaitable[Evidence]) -> Evidence:
    """Return the evidence of a charge that is being asked for. Only an open breaker raises."""
    try:
        return _readable(await question)
    except Stopped as stopped:
        raise GatewayUnavailable(
            gateway=gateway, retry_after_ms=stopped.retry_after_ms
        ) from stopped
    except NotSent:
        failure = Failure(
            code="GATEWAY_UNAVAILABLE",
            message="Không kết nối được tới cổng thanh toán. Chưa có khoản tiền nào bị trừ.",
        )
        return Evidence(
            source=None, origin=source, result=GatewayResult.NOT_CONNECTED, failure=failure
        )
    except Unanswered:
        return unknown(source)


def unheard(gateway: GatewayName, source: str, code: str) -> Evidence:
    """Return that a gateway began nothing for what is ours to mend, by its *code*: no payer is at fault."""
    _log.error("gateway_refuses_us", gateway=gateway, source=source, code=code)
    failure = Failure(
        code="GATEWAY_UNAVAILABLE",
        message="Cổng thanh toán không nhận yêu cầu của hệ thống. Chưa có khoản tiền nào bị trừ;"
        " hãy dùng phương thức khác.",
    )
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=source, result=GatewayResult.DECLINED, failure=failure
    )


async def asked(source: str, question: Awaitable[Evidence]) -> Evidence:
    """Return the evidence of a question, which changes nothing: not to have asked is not to know."""
    try:
        return _readable(await question)
    except (NotSent, Unanswered):
        return unknown(source)


def unknown(source: str) -> Evidence:
    return Evidence(source=None, origin=source, result=GatewayResult.UNKNOWN)


def _readable(said: Evidence) -> Evidence:
    """Return *said*; UNKNOWN where it holds what can be neither kept nor shown: nobody sent that on purpose."""
    if is_kept(said):
        return said
    _log.warning("answer_not_readable", source=said.origin, result=said.result)
    return unknown(said.origin)


def is_kept(said: Evidence) -> bool:
    """Return whether our columns can hold every text in *said*, and a QR its payload."""
    failure = said.failure
    texts = (
        (said.gateway_id, LONGEST_NUMBER),
        (failure and failure.code, LONGEST_CODE),
        (failure and failure.message, LONGEST_TEXT),
        (said.payment_url, LONGEST_TEXT),
        (said.qr_payload, LARGEST_QR),
    )
    return all("\0" not in text and len(text.encode()) <= most for text, most in texts if text)


def is_definite(status: int) -> bool:
    """Return whether an HTTP status says that the request was not, and will not be, carried out."""
    return 400 <= status < 500 and status not in _NOT_DEFINITE
