"""Refusal of requests that contain a card number, before anything else is done with them."""

from __future__ import annotations

from typing import cast

from domain.cards import holds_card_number
from domain.identifiers import folded
from schema.graphql.errors import ApiError

_MIN_DIGITS = 13


def check_no_card_number(value: object) -> None:
    """Raise ApiError if a text, number or name anywhere in *value* contains a card number."""
    if _holds(value):
        raise ApiError(
            "BAD_USER_INPUT",
            vi="Yêu cầu chứa số thẻ. Không bao giờ gửi số thẻ tới đây:"
            " hãy gửi paymentToken của cổng thẻ.",
            en="The request holds a card number. Never send one here:"
            " send the card gateway's paymentToken.",
        )


def _holds(value: object) -> bool:
    pending = [value]  # a stack, because recursion could fail on deep nesting
    while pending:
        item = pending.pop()
        if isinstance(item, str | int):
            text = str(item)
            if len(text) >= _MIN_DIGITS and any(map(holds_card_number, _spellings(text))):
                return True
        elif isinstance(item, dict):
            for name, member in cast("dict[object, object]", item).items():
                pending += (name, member)
        elif isinstance(item, list):
            pending += cast("list[object]", item)
    return False


def _spellings(text: str) -> tuple[str, ...]:
    """Return the text as sent, and as identifiers are normalized."""
    return (text,) if text.isascii() else (text, folded(text))
