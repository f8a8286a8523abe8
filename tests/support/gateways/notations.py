"""Notations of amounts in gateways' calls: the readable and the unreadable ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateways.callers import CALLERS, Caller, Notice, call_with, send
from tests.support.gateways.webhook_cases import notice_of, quarantine_emptied, state
from tests.support.requests.cases import of
from tests.support.running_api import Api

__all__ = ["notice", "payment", "quarantine_emptied"]

BY_PATH = {caller.path: caller for caller in CALLERS}
VNPAY, PAYPAL, SEPAY = BY_PATH["vnpay"], BY_PATH["paypal"], BY_PATH["bank/sepay"]
BANKS = [caller for caller in CALLERS if caller.path.startswith("bank")]


def readable(caller: Caller, amount: int) -> list[Any]:
    """Return other notations of *amount*; for dollars, of the next whole amount."""
    match caller.path:
        case "vnpay":
            return [f"{amount}00.0", f"{amount}00.00"]
        case "paypal":
            dollars = amount // 100 + 1
            return [str(dollars), f"{dollars}.0", dollars, float(dollars)]
        case _:
            return [float(amount), str(amount), f"{amount}.0", f"{amount}.00"]


def unreadable(caller: Caller, amount: int) -> list[Any]:
    match caller.path:
        case "vnpay":
            return [f"{amount}50", f"{amount},00", "2e7", f"{amount}00.000"]
        case "paypal":
            return [f"{amount // 100}.005", f"{amount // 100},00", "2e1", "1.000.00"]
        case _:
            dotted = f"{amount:,}".replace(",", ".")
            return [dotted, f"{amount:,}", amount + 0.5, "2.43e5"]


@pytest.fixture
def payment(api: Api, caller: Caller) -> dict[str, Any]:
    return api.new_payment(method=caller.method)


@pytest.fixture
def notice(api: Api, payment: dict[str, Any]) -> Notice:
    """Return the notice that the requested amount was paid."""
    return notice_of(api, payment)


def deliver_with_amount(api: Api, caller: Caller, notice: Notice, amount: Any) -> int:
    """Send *notice* with its amount written as *amount*; return the status of the answer."""
    return send(api, caller, call_with(caller, notice, amount)).status_code


def deliver_unreadable(api: Api, caller: Caller, notice: Notice) -> str:
    amount = unreadable(caller, notice.amount)[0]
    assert deliver_with_amount(api, caller, notice, amount) in {200, 204}
    return str(amount)


def hold(api: Api, caller: Caller, payment: dict[str, Any], notice: Notice) -> dict[str, Any]:
    """Let the payment be held for an unreadable amount; return its case."""
    deliver_unreadable(api, caller, notice)
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    return of(api, payment)
