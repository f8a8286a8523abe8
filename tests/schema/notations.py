"""How gateways write a sum otherwise than agreed: what is that sum all the same, and what nobody can read."""

from __future__ import annotations

from typing import Any

from tests.schema.voices import Voice


def readable(voice: Voice, amount: int) -> list[Any]:
    """Return other ways to write *amount*; of dollars the next whole one, which pays for it too."""
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
