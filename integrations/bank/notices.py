"""The signed notices of transfers on our bank account: Casso (v2) and SePay."""

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
from integrations.amounts import WholeId, raw_text, whole_id, whole_number
from integrations.http.json_text import RawNumber, encode
from integrations.http.parsing import Text, WireModel
from integrations.http.webhooks import (
    check_signature,
    check_signature_age,
    header,
    parse_event,
    parse_json_object,
    sign_timed,
)

_CASSO = re.compile(r"t=([0-9]{1,15})((?:,v1=[0-9A-Fa-f]{128}){1,5})", re.ASCII)
_SEPAY = re.compile(r"sha256=([0-9A-Fa-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """
    One line of a bank account.

    `number` is the bank's own, and so the same from both services. `amount` is as the service wrote
    it. `texts` are the fields that may hold a reference of ours.
    """

    id: str
    number: str | None
    accounts: frozenset[str]
    incoming: bool
    amount: Any
    texts: tuple[str, ...]


class _CassoTransfer(WireModel):
    id: WholeId
    accountNumber: Text
    virtualAccountNumber: str | None = None
    reference: str | None = None
    description: str | None = None
    amount: Any


class _CassoNotice(WireModel):
    """`error` is 0, or the notice holds no transfer."""

    error: Annotated[Literal[0], BeforeValidator(whole_id)]
    data: _CassoTransfer | list[_CassoTransfer]


class _SepayTransfer(WireModel):
    id: WholeId
    accountNumber: Text
    subAccount: str | None = None
    code: str | None = None
    content: str | None = None
    description: str | None = None
    transferType: Literal["in", "out"]
    transferAmount: Any
    referenceCode: str | None = None


def read_casso(call: Call, secrets: Sequence[str]) -> tuple[Transfer, ...]:
    """
    Verify and parse a call of Casso. Raises BadCall.

    An outgoing amount is negative; id 0 is a test from Casso's dashboard.
    """
    match = _CASSO.fullmatch(header(call, "X-Casso-Signature"))
    if match is None:
        raise BadCall("the signature is missing or malformed")
    fields = parse_json_object(call.body)
    texts = _signed_texts(fields)
    presented = match[2].lower().split(",v1=")[1:]
    check_signature(
        [_casso_signature(secret, match[1], text) for secret in secrets for text in texts],
        presented,
    )
    check_signature_age(call, int(match[1]) / 1000)
    transfers = parse_event(_CassoNotice, fields).data
    return tuple(
        Transfer(
            id=f"casso:{transfer.id}",
            number=_bank_number(transfer.reference),
            accounts=_accounts(transfer.accountNumber, transfer.virtualAccountNumber),
            incoming=transfer.id != 0 and _may_be_positive(transfer.amount),
            amount=transfer.amount,
            texts=(transfer.description or "",),
        )
        for transfer in (transfers if isinstance(transfers, list) else [transfers])
    )


def read_sepay(call: Call, secrets: Sequence[str]) -> tuple[Transfer, ...]:
    """Verify and parse a call of SePay, which holds one transfer. Raises BadCall."""
    match = _SEPAY.fullmatch(header(call, "X-SePay-Signature"))
    sent_at = header(call, "X-SePay-Timestamp")
    if match is None or not re.fullmatch(r"[0-9]{1,12}", sent_at, re.ASCII):
        raise BadCall("the signature is missing or malformed")
    check_signature((sign_timed(secret, sent_at, call.body) for secret in secrets), [match[1]])
    check_signature_age(call, int(sent_at))
    transfer = parse_event(_SepayTransfer, parse_json_object(call.body))
    return (
        Transfer(
            id=f"sepay:{transfer.id}",
            number=_bank_number(transfer.referenceCode),
            accounts=_accounts(transfer.accountNumber, transfer.subAccount),
            incoming=transfer.transferType == "in" and _may_be_positive(transfer.transferAmount),
            amount=transfer.transferAmount,
            texts=(transfer.content or "", transfer.code or "", transfer.description or ""),
        ),
    )


def _casso_signature(secret: str, sent_at: str, text: str) -> str:
    signed = f"{sent_at}.{text}".encode()
    return hmac.new(secret.encode(), signed, hashlib.sha512).hexdigest()


def _signed_texts(fields: dict[str, Any]) -> tuple[str, ...]:
    """
    Return the texts that Casso may have signed: the JSON with sorted names.

    A number stands as it came or as JavaScript writes it; other letters than ASCII stand as they
    are or escaped.
    """
    try:
        texts = [
            encode(fields, ascii=ascii, number=number)
            for ascii in (False, True)
            for number in (_in_javascript, str)
        ]
    except RecursionError:
        raise BadCall("the body is nested too deeply") from None
    return tuple(dict.fromkeys(texts))


def _in_javascript(number: RawNumber) -> str:
    """Return a number as JavaScript writes it: 5.0 is 5. Only the signature depends on it."""
    value = float(number.text)
    return str(int(value)) if value.is_integer() else json.dumps(value)


def _may_be_positive(amount: object) -> bool:
    """Return whether money may have come. An unreadable amount counts, unless it is negative."""
    return whole_number(amount) != 0 and not raw_text(amount).startswith("-")


def _bank_number(number: str | None) -> str | None:
    return (number or "").strip()[:64] or None


def _accounts(*numbers: str | None) -> frozenset[str]:
    return frozenset(number.strip().upper() for number in numbers if number)
