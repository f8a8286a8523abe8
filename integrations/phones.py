"""Vietnamese mobile numbers in one spelling: `0987654321`."""

from __future__ import annotations

import re

import phonenumbers

from domain.identifiers import phone_number

_TYPED = re.compile(r"[0-9+.()\-]{1,24}", re.ASCII)


def normalise(text: str) -> str | None:
    """Return the mobile number as `0987654321`; None if it is no Vietnamese mobile number."""
    text = phone_number(text)
    if not _TYPED.fullmatch(text):
        return None
    try:
        number = phonenumbers.parse(text, "VN")
    except phonenumbers.NumberParseException:
        return None
    if number.country_code != 84 or not phonenumbers.is_valid_number(number):
        return None
    if phonenumbers.number_type(number) is not phonenumbers.PhoneNumberType.MOBILE:
        return None
    return f"0{number.national_number}"


def e164(mobile: str) -> str:
    """Return `+84987654321` for a number that `normalise` returned."""
    return f"+84{mobile.removeprefix('0')}"
