"""Idempotency: requests with the same key and input are one request, however often they come."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from domain.refusals import InvalidInput, Refusal, RefusalCode
from domain.sentences import InputProblem

MIN_KEY_LENGTH, MAX_KEY_LENGTH = 16, 128
WAIT_SECONDS = 2.0  # how long a repeat waits for the first request to end


def check_key(key: str) -> str:
    """Return *key*. Raises InvalidInput if it is too short, too long or not printable ASCII."""
    long_enough = len(key.strip()) >= MIN_KEY_LENGTH and len(key) <= MAX_KEY_LENGTH
    if not (long_enough and key.isascii() and key.isprintable()):
        raise InvalidInput.because(
            InputProblem.IDEMPOTENCY_KEY,
            field="idempotencyKey",
            shortest=MIN_KEY_LENGTH,
            longest=MAX_KEY_LENGTH,
        )
    return key


def fingerprint(operation: str, facts: object) -> bytes:
    """Return the SHA-256 of the canonical, validated input (JSON values only)."""
    text = json.dumps([operation, facts], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()


@dataclass(eq=False, kw_only=True)
class IdempotencyKeyReused(Refusal):
    code = RefusalCode.IDEMPOTENCY_KEY_REUSED
    vi = "Khoá này đã dùng cho một yêu cầu khác. Hãy tạo khoá mới cho giao dịch mới."
    en = "This key was used for another request. Make a new key for a new payment."

    payment_id: str | None


@dataclass(eq=False, kw_only=True)
class IdempotencyInProgress(Refusal):
    code = RefusalCode.IDEMPOTENCY_IN_PROGRESS
    vi = "Yêu cầu này đang được xử lý. Hãy gửi lại cùng khoá sau giây lát."
    en = "This request is still being handled. Send it again with the same key in a moment."

    payment_id: str | None
    retry_after_ms: int | None
