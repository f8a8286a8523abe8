"""What two services tell of transfers on our bank account: Casso (v2) and SePay, each signed in its own way."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from domain.gateways import BadCall, Call
from integrations.http import Unreadable
from integrations.webhooks import header, json_object
from integrations.wire import Text, Wire, parse

WINDOW = 300  # seconds that a signature is good for, either way

_CASSO = re.compile(r"t=([0-9]{1,15})((?:,v1=[0-9A-Fa-f]{128}){1,5})", re.ASCII)
_SEPAY = re.compile(r"sha256=([0-9A-Fa-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """
    One line of an account. `number` is the bank's own, and so the same by whichever service it is
    told. The amount is judged apart; `texts` are what may hold a reference of ours.
    """

    id: str
    number: str | None
    accounts: frozenset[str]
    incoming: bool
    amount: Any
    texts: tuple[str, ...]


class _CassoTransfer(Wire):
    id: int
    accountNumber: Text
    virtualAccountNumber: str | None = None
    reference: str | None = None
    description: str | None = None
    amount: Any


class _Casso(Wire):
    """`error` is 0, or there is no transfer in it."""

    error: Literal[0]
    data: _CassoTransfer | tuple[_CassoTransfer, ...]


class _Sepay(Wire):
    id: int
    accountNumber: Text
    subAccount: str | None = None
    code: str | None = None
    content: str | None = None
    description: str | None = None
    transferType: Literal["in", "out"]
    transferAmount: Any
    referenceCode: str | None = None


def casso(call: Call, secrets: Sequence[str]) -> tuple[Transfer, ...]:
    """Verify and read a call of Casso. An outgoing amount is negative; id 0 is a try from its dashboard."""
    match = _CASSO.fullmatch(header(call, "X-Casso-Signature"))
    if match is None:
        raise BadCall("the signature is missing or malformed")
    fields = json_object(call.body, fraction=_number)
    # Signed is the JSON, sorted, as JavaScript writes it; other languages escape what is not ASCII.
    texts = (_canonical(fields, ascii=False), _canonical(fields, ascii=True))
    presented = match[2].lower().split(",v1=")[1:]
    expected = [_casso_signature(secret, match[1], text) for secret in secrets for text in texts]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in presented]
    if not any(matches):
        raise BadCall("the signature does not verify")
    _check_time(call, int(match[1]) / 1000)
    told = _read(_Casso, texts[1].encode()).data
    return tuple(
        Transfer(
            id=f"casso:{one.id}",
            number=_known(one.reference),
            accounts=_accounts(one.accountNumber, one.virtualAccountNumber),
            incoming=one.id != 0 and _is_more_than_nothing(one.amount),
            amount=one.amount,
            texts=(one.description or "",),
        )
        for one in (told if isinstance(told, tuple) else (told,))
    )


def sepay(call: Call, secrets: Sequence[str]) -> tuple[Transfer, ...]:
    """Verify and read a call of SePay: one transfer, in or out."""
    match = _SEPAY.fullmatch(header(call, "X-SePay-Signature"))
    moment = header(call, "X-SePay-Timestamp")
    if match is None or not re.fullmatch(r"[0-9]{1,12}", moment, re.ASCII):
        raise BadCall("the signature is missing or malformed")
    signed = moment.encode() + b"." + call.body
    matches = [
        hmac.compare_digest(
            hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest(), match[1].lower()
        )
        for secret in secrets
    ]
    if not any(matches):
        raise BadCall("the signature does not verify")
    _check_time(call, int(moment))
    json_object(call.body)  # refuses what repeats a member
    told = _read(_Sepay, call.body)
    transfer = Transfer(
        id=f"sepay:{told.id}",
        number=_known(told.referenceCode),
        accounts=_accounts(told.accountNumber, told.subAccount),
        incoming=told.transferType == "in" and _is_more_than_nothing(told.transferAmount),
        amount=told.transferAmount,
        texts=(told.content or "", told.code or "", told.description or ""),
    )
    return (transfer,)


def _casso_signature(secret: str, moment: str, text: str) -> str:
    signed = f"{moment}.{text}".encode()
    return hmac.new(secret.encode(), signed, hashlib.sha512).hexdigest()


def _canonical(fields: dict[str, Any], *, ascii: bool) -> str:
    try:
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii)
    except RecursionError:
        raise BadCall("the body is nested too deeply") from None


def _number(text: str) -> int | float:
    """Return a number as JavaScript has it: 5.0 is 5."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _check_time(call: Call, signed_at: float) -> None:
    if abs(call.received_at.timestamp() - signed_at) > WINDOW:
        raise BadCall("the signature is too old or from the future")


W = TypeVar("W", bound=Wire)


def _read(model: type[W], body: bytes) -> W:
    try:
        return parse(model, body)
    except Unreadable as error:
        raise BadCall(str(error)) from None


def _is_more_than_nothing(amount: Any) -> bool:
    """Return whether money came: what is no number may be money all the same, and is for people to see."""
    return not isinstance(amount, int | float) or amount > 0


def _known(number: str | None) -> str | None:
    return (number or "").strip()[:64] or None


def _accounts(*numbers: str | None) -> frozenset[str]:
    return frozenset(number.strip().upper() for number in numbers if number)
