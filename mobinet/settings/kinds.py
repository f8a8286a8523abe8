"""The kinds of values that a setting can have, each with what is said of a wrong one: what it is not, and what to set."""

import base64
import binascii
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AfterValidator, BeforeValidator, Field, SecretBytes, SecretStr
from pydantic_settings import NoDecode

from domain.methods import STAFF_MONEY, GatewayName, PaymentMethod
from integrations.bank.vietqr import BANKS

# No bank has it: a phone that scans a QR of the sandbox can't send money to a stranger.
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


def _items(value: object) -> object:
    if isinstance(value, str):
        return tuple(each.strip() for each in value.split(",") if each.strip())
    return value


def _routes(value: object) -> object:
    """`VNPAY_QR=VNPAY,BANK;MOMO=MOMO,BANK`: the gateways of a method, the first that works is taken."""
    if not isinstance(value, str) or (written := value.strip()).lower() == "off":
        return {} if isinstance(value, str) else value
    if written.lower() == "on":
        return {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.BANK)}
    found: dict[PaymentMethod, tuple[GatewayName, ...]] = {}
    for part in filter(None, map(str.strip, written.upper().split(";"))):
        left, _, right = part.partition("=")
        try:
            method = PaymentMethod(left.strip())
            names = tuple(GatewayName(name.strip()) for name in right.split(","))
        except ValueError:
            raise ValueError(
                f"cannot be read at {part[:40]!r}: write it like VNPAY_QR=VNPAY,BANK, or on, or off"
            ) from None
        # The wallet is the staff's own money, which no other method's limits know of.
        if method in STAFF_MONEY or GatewayName.FPT_PAY in names:
            raise ValueError(f"leads {left.strip()} to or from staff money: leave it out")
        if method in found or len(set(names)) < len(names):
            raise ValueError(f"names something twice for {method}: name each once")
        found[method] = names
    return found


def _seconds(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[1-9]\d{0,8}", value):
            raise ValueError("is not a number of seconds: set a whole number such as 900")
        return timedelta(seconds=int(value))
    return value


def pems(value: str) -> tuple[str, ...]:
    """
    Return the keys in the text itself, or in the file that it names; several while they are rotated.

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


def _text_or_file(value: str, beginning: str) -> str:
    if beginning in value:
        return value.replace("\\n", "\n")
    try:
        return Path(value).read_text()
    except (OSError, ValueError) as error:
        raise ValueError("is neither the key itself nor a file that can be read") from error


def _bin(value: str) -> str:
    if value != SANDBOX_BIN and value not in BANKS:
        raise ValueError("is no bank of NAPAS's table: set six digits such as 970436, Vietcombank")
    return value


Address = Annotated[str, AfterValidator(_web_address)]
Bin = Annotated[str, AfterValidator(_bin)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_items), NoDecode]
DatabaseAddress = Annotated[SecretStr, AfterValidator(_database_address)]
DatabaseAddresses = Annotated[tuple[DatabaseAddress, ...], BeforeValidator(_items), NoDecode]
RedisAddress = Annotated[SecretStr, AfterValidator(_redis_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Dong = Annotated[int, Field(ge=0)]
Routes = Annotated[dict[PaymentMethod, tuple[GatewayName, ...]], BeforeValidator(_routes), NoDecode]
Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
SigningKeys = Annotated[tuple[SecretStr, ...], BeforeValidator(_pems), NoDecode]
EncryptionKey = Annotated[SecretBytes, BeforeValidator(_encryption_key)]
