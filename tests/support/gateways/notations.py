"""Notations of amounts in gateways' calls: the readable and the unreadable ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways.callers import VOICES, Said, Voice, call_with, send
from tests.support.gateways.webhook_cases import introduced, state, word
from tests.support.requests.cases import of
from tests.support.running_api import Api

__all__ = ["introduced", "notice", "payment"]

VNPAY, PAYPAL, SEPAY = VOICES[0], VOICES[4], VOICES[6]
BANKS = [voice for voice in VOICES if voice.path.startswith("bank")]


def readable(voice: Voice, amount: int) -> list[Any]:
    """Return other notations of *amount*; for dollars, of the next whole amount."""
    match voice.path:
        case "vnpay":
            return [f"{amount}00.0", f"{amount}00.00"]
        case "paypal":
            dollars = amount // 100 + 1
            return [str(dollars), f"{dollars}.0", dollars, float(dollars)]
        case _:
            return [float(amount), str(amount), f"{amount}.0", f"{amount}.00"]


def unreadable(voice: Voice, amount: int) -> list[Any]:
    match voice.path:
        case "vnpay":
            return [f"{amount}50", f"{amount},00", "2e7", f"{amount}00.000"]
        case "paypal":
            return [f"{amount // 100}.005", f"{amount // 100},00", "2e1", "1.000.00"]
        case _:
            dotted = f"{amount:,}".replace(",", ".")
            return [dotted, f"{amount:,}", amount + 0.5, "2.43e5"]


@pytest.fixture
def payment(api: Api, voice: Voice) -> dict[str, Any]:
    return api.paid(method=voice.method)


@pytest.fixture
def notice(api: Api, payment: dict[str, Any]) -> Said:
    """Return the report that the requested amount was paid."""
    return word(api, payment)


def write(api: Api, voice: Voice, notice: Said, amount: Any) -> int:
    """Send *notice* with its amount written as *amount*; return the status of the answer."""
    return send(api, voice, call_with(voice, notice, amount)).status_code


def write_unreadably(api: Api, voice: Voice, notice: Said) -> str:
    amount = unreadable(voice, notice.amount)[0]
    assert write(api, voice, notice, amount) in {200, 204}
    return str(amount)


def hold(api: Api, voice: Voice, payment: dict[str, Any], notice: Said) -> dict[str, Any]:
    """Let the payment be held for an unreadable amount; return its case."""
    write_unreadably(api, voice, notice)
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    return of(api, payment)
