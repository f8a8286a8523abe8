"""The gateways' signatures as the tests compute them, independent of product and sandbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def vnpay_signature(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()


def vnpay_query_text(fields: dict[str, str]) -> str:
    """Return the text that VNPay signs in a query."""
    return "&".join(
        f"{name}={quote_plus(value)}" for name, value in sorted(fields.items()) if value
    )


def vnpay_signed_query(fields: dict[str, str], secret: str) -> str:
    text = vnpay_query_text(fields)
    return f"{text}&vnp_SecureHash={vnpay_signature(secret, text)}"


def vnpay_pipe_text(fields: dict[str, Any], names: list[str] | tuple[str, ...]) -> str:
    """Return the text that VNPay signs in JSON; *names* are without their prefix."""
    return "|".join(str(fields.get(f"vnp_{name}", "")) for name in names)


def momo_signature(secret: str, fields: dict[str, Any], access_key: str) -> str:
    """Sign all *fields*, sorted, with the access key."""
    signed = fields | {"accessKey": access_key}
    text = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def fpt_pay_signature(secret: str, sent_at: str, body: bytes) -> str:
    return _timed_signature(secret, sent_at, body)


def stripe_signature(secret: str, sent_at: str, body: bytes) -> str:
    return _timed_signature(secret, sent_at, body)


def sepay_signature(secret: str, sent_at: str, body: bytes) -> str:
    return _timed_signature(secret, sent_at, body)


def _timed_signature(secret: str, sent_at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()


def casso_text(notice: Any, *, ascii: bool = False) -> str:
    """Return the text of a notice that Casso signs, with accents as they are or escaped."""
    return json.dumps(notice, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii)


def casso_signature(secret: str, sent_at_ms: str, text: str) -> str:
    return hmac.new(secret.encode(), f"{sent_at_ms}.{text}".encode(), hashlib.sha512).hexdigest()


def paypal_signature(
    key: rsa.RSAPrivateKey, id: str, time: str, webhook_id: str, body: bytes
) -> str:
    message = f"{id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()
    proof = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(proof).decode()
