"""What two services tell of transfers on our bank account: Casso (v2) and SePay, each signed in its own way."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from domain.gateways import BadCall, Call
from integrations.amounts import text_of, whole
from integrations.http.json_text import Number, encode
from integrations.http.parsing import Text, Wire
from integrations.http.webhooks import event, header, json_object

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


def _id(written: object) -> object:
    """Casso's own numbers may be written as 5.0, which JavaScript has as 5."""
    return whole(written) if isinstance(written, Number) else written


class _CassoTransfer(Wire):
    id: Annotated[int, BeforeValidator(_id)]
    accountNumber: Text
    virtualAccountNumber: str | None = None
    reference: str | None = None
    description: str | None = None
    amount: Any


class _Casso(Wire):
    """`error` is 0, or there is no transfer in it."""

    error: Annotated[Literal[0], BeforeValidator(_id)]
    data: _CassoTransfer | list[_CassoTransfer]


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
    fields = json_object(call.body)
    texts = _canonical(fields)
    presented = match[2].lower().split(",v1=")[1:]
    expected = [_casso_signature(secret, match[1], text) for secret in secrets for text in texts]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in presented]
    if not any(matches):
        raise BadCall("the signature does not verify")
    _check_time(call, int(match[1]) / 1000)
    transfers = event(_Casso, fields).data
    return tuple(
        Transfer(
            id=f"casso:{transfer.id}",
            number=_known(transfer.reference),
            accounts=_accounts(transfer.accountNumber, transfer.virtualAccountNumber),
            incoming=transfer.id != 0 and _is_more_than_nothing(transfer.amount),
            amount=transfer.amount,
            texts=(transfer.description or "",),
        )
        for transfer in (transfers if isinstance(transfers, list) else [transfers])
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
    line = event(_Sepay, json_object(call.body))
    transfer = Transfer(
        id=f"sepay:{line.id}",
        number=_known(line.referenceCode),
        accounts=_accounts(line.accountNumber, line.subAccount),
        incoming=line.transferType == "in" and _is_more_than_nothing(line.transferAmount),
        amount=line.transferAmount,
        texts=(line.content or "", line.code or "", line.description or ""),
    )
    return (transfer,)


def _casso_signature(secret: str, moment: str, text: str) -> str:
    signed = f"{moment}.{text}".encode()
    return hmac.new(secret.encode(), signed, hashlib.sha512).hexdigest()


def _canonical(fields: dict[str, Any]) -> tuple[str, ...]:
    """
    Return the texts that may be signed: the JSON, sorted.

    A number stands as it came or as JavaScript writes it, and what is not ASCII as it is or escaped.
    """
    try:
        ways = [
            encode(fields, ascii=ascii, number=number)
            for ascii in (False, True)
            for number in (_in_javascript, str)
        ]
    except RecursionError:
        raise BadCall("the body is nested too deeply") from None
    return tuple(dict.fromkeys(ways))


def _in_javascript(number: Number) -> str:
    """Return a number as JavaScript writes it: 5.0 is 5. Only a signature is checked by it."""
    value = float(number.text)
    return str(int(value)) if value.is_integer() else json.dumps(value)


def _check_time(call: Call, signed_at: float) -> None:
    if abs(call.received_at.timestamp() - signed_at) > WINDOW:
        raise BadCall("the signature is too old or from the future")


def _is_more_than_nothing(amount: object) -> bool:
    """Return whether money came: a sum that cannot be read may be some, but for one below nothing."""
    return whole(amount) != 0 and not text_of(amount).startswith("-")


def _known(number: str | None) -> str | None:
    return (number or "").strip()[:64] or None


def _accounts(*numbers: str | None) -> frozenset[str]:
    return frozenset(number.strip().upper() for number in numbers if number)
