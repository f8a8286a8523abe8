"""No request may hold a card's number: whatever comes in is looked through before anything is made of it."""

from __future__ import annotations

from typing import cast

from domain.cards import holds_card_number
from domain.identifiers import folded
from schema.graphql.errors import ApiError

_SHORTEST = 13


def check_no_card_number(value: object) -> None:
    """Raise BAD_USER_INPUT if a text, number or name anywhere in *value* is a card's number."""
    if _holds(value):
        raise ApiError(
            "BAD_USER_INPUT",
            vi="Yêu cầu chứa số thẻ. Không bao giờ gửi số thẻ tới đây: hãy gửi paymentToken của cổng thẻ.",
            en="The request holds a card number. Never send one here: send the card gateway's paymentToken.",
        )


def _holds(value: object) -> bool:
    rest = [value]  # by hand: what is nested deeply would be a fault
    while rest:
        one = rest.pop()
        if isinstance(one, str | int):
            text = str(one)
            if len(text) >= _SHORTEST and any(map(holds_card_number, _readings(text))):
                return True
        elif isinstance(one, dict):
            for name, member in cast("dict[object, object]", one).items():
                rest += (name, member)
        elif isinstance(one, list):
            rest += cast("list[object]", one)
    return False


def _readings(text: str) -> tuple[str, ...]:
    """Return *text* as it is, and as it is where it names a contract or a member of staff."""
    return (text,) if text.isascii() else (text, folded(text))
