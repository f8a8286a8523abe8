"""The types of the settings' values; each explains a wrong value and what to set instead."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, SecretStr
from pydantic_settings import NoDecode

from domain.methods import STAFF_MONEY, GatewayName, PaymentMethod
from domain.money import Rate
from integrations.bank.vietqr import BANKS

# No bank has this BIN, so that no QR of the sandbox can really be paid.
SANDBOX_BIN = "999999"


def _web_address(value: str) -> str:
    return _checked(value, "http", "https").rstrip("/")


def _database_address(value: SecretStr) -> SecretStr:
    return SecretStr(_checked(value.get_secret_value(), "postgresql", "postgres"))


def _redis_address(value: SecretStr) -> SecretStr:
    return SecretStr(_checked(value.get_secret_value(), "redis", "rediss", "unix"))


def _checked(value: str, *schemes: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
        beginnings = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"is not an address: set one that begins with {beginnings}")
    return value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _routes(value: object) -> object:
    """
    Read `VNPAY_QR=VNPAY,BANK;MOMO=MOMO,BANK`: the gateways of each method, in order.

    Raises ValueError.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().upper()
    if text == "OFF":
        return {}
    if text == "ON":
        return {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.BANK)}
    routes: dict[PaymentMethod, tuple[GatewayName, ...]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        left, _, right = part.partition("=")
        try:
            method = PaymentMethod(left.strip())
            gateways = tuple(GatewayName(name.strip()) for name in right.split(","))
        except ValueError:
            raise ValueError(
                f"cannot be read at {part[:40]!r}: write it like VNPAY_QR=VNPAY,BANK, or on, or off"
            ) from None
        # Limits count only the methods of staff money, so no route may cross that border.
        if method in STAFF_MONEY or GatewayName.FPT_PAY in gateways:
            raise ValueError(f"leads {left.strip()} to or from staff money: leave it out")
        if method in routes or len(set(gateways)) < len(gateways):
            raise ValueError(f"names something twice for {method}: name each once")
        routes[method] = gateways
    return routes


def _seconds(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[1-9]\d{0,8}", value):
            raise ValueError("is not a number of seconds: set a whole number such as 900")
        return timedelta(seconds=int(value))
    return value


def pems(value: str) -> tuple[str, ...]:
    """
    Return the PEM keys in the text, or in the file that it names.

    Raises ValueError.
    """
    text = _text_or_file(value, "-----BEGIN")
    blocks = re.findall(r"-----BEGIN [^-]+-----.+?-----END [^-]+-----", text, re.DOTALL)
    if not blocks or not all(map(_is_ed25519, blocks)):
        raise ValueError("holds no Ed25519 key: make one with `openssl genpkey -algorithm ed25519`")
    return tuple(f"{block}\n" for block in blocks)


def _pems(value: object) -> object:
    return pems(value) if isinstance(value, str) else value


def _is_ed25519(pem: str) -> bool:
    try:
        return isinstance(serialization.load_pem_private_key(pem.encode(), None), Ed25519PrivateKey)
    except (ValueError, TypeError):
        return False


def _encryption_key(value: object) -> object:
    if not isinstance(value, str):
        return value
    key = _decoded(value) or _decoded(_text_or_file(value, "\0"))
    if key is None:
        raise ValueError("is not 32 bytes in base64: make them with `openssl rand -base64 32`")
    return key


def _decoded(value: str) -> bytes | None:
    try:
        key = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _text_or_file(value: str, marker: str) -> str:
    """Return the text if it contains the marker, else the content of the file that it names."""
    if marker in value:
        return value.replace("\\n", "\n")
    try:
        return Path(value).read_text()
    except (OSError, ValueError) as error:
        raise ValueError("is neither the key itself nor a file that can be read") from error


def _dollar_rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([1-9]\d{3,5})@(\d{4}-\d\d-\d\d)", value, re.ASCII)
    try:
        assert match
        return Rate(dong_per_dollar=int(match[1]), day=date.fromisoformat(match[2]))
    except (AssertionError, ValueError):
        raise ValueError(
            "is not a rate with its date: set đồng for a dollar and the day,"
            " such as 26000@2025-07-29"
        ) from None


def _bin(value: str) -> str:
    if value != SANDBOX_BIN and value not in BANKS:
        raise ValueError("is no bank of NAPAS's table: set six digits such as 970436, Vietcombank")
    return value


Address = Annotated[str, AfterValidator(_web_address)]
Bin = Annotated[str, AfterValidator(_bin)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_split), NoDecode]
DatabaseAddress = Annotated[SecretStr, AfterValidator(_database_address)]
DatabaseAddresses = Annotated[tuple[DatabaseAddress, ...], BeforeValidator(_split), NoDecode]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address)]
DollarRate = Annotated[Rate, BeforeValidator(_dollar_rate), NoDecode]
Port = Annotated[int, Field(ge=1, le=65535)]
Dong = Annotated[int, Field(ge=0)]
Routes = Annotated[dict[PaymentMethod, tuple[GatewayName, ...]], BeforeValidator(_routes), NoDecode]
Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
SigningKeys = Annotated[tuple[SecretStr, ...], BeforeValidator(_pems), NoDecode]
EncryptionKey = Annotated[SecretBytes, BeforeValidator(_encryption_key)]
