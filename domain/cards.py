"""
Card numbers: input that holds one is refused, and any that is stored or logged is masked.

A number is a card's if its length and prefix are a brand's and its check digit is right. Ids, dates
and amounts of ours and of the gateways fail that test.
"""

from __future__ import annotations

import re

from domain.methods import PaymentMethod
from domain.refusals import InvalidInput
from domain.sentences import InputProblem

# Separators between the digit groups of a card, also in form data and in URLs.
_SEPARATOR = r"(?:[ \t\u00a0\u2009\u202f.+/_–-]{1,3}|%20)"
# Digits of any script, joined or in groups; digits inside a longer word do not match.
_DIGITS = re.compile(
    r"(?<![0-9A-Za-z_.])(?:\d{13,19}"
    rf"|\d{{4}}({_SEPARATOR})\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}})?"
    rf"|\d{{4}}({_SEPARATOR})\d{{6}}\2\d{{4,5}})(?![0-9A-Za-z_]|\.\d)"
)
_BRANDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|35\d{14}"  # JCB
    r"|6\d{15}(?:\d{3})?"  # UnionPay, Discover, Maestro
    r"|9704\d{12}(?:\d{3})?",  # NAPAS: every bank's card in Viet Nam
    re.ASCII,
)


def holds_card_number(text: str) -> bool:
    """Return whether a card number stands anywhere in *text*."""
    return any(_is_card(match) for match in _DIGITS.finditer(text))


def masked(text: str) -> str:
    """Return *text* with each card number cut to its first six and last four digits."""
    return _DIGITS.sub(lambda match: _mask(match[0]) if _is_card(match) else match[0], text)


def _is_card(match: re.Match[str]) -> bool:
    digits = _plain(match[0])
    return _BRANDS.fullmatch(digits) is not None and _check_digit_holds(digits)


def _mask(number: str) -> str:
    digits = _plain(number)
    return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"


def _plain(number: str) -> str:
    """Return the digits alone, as ASCII."""
    letters = number.replace("%20", "")
    return "".join(str(int(letter)) for letter in letters if letter.isdecimal())


def _check_digit_holds(digits: str) -> bool:
    """Return whether the Luhn sum ends in 0: every second digit from the right is doubled."""
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2] + [sum(divmod(2 * value, 10)) for value in values[1::2]]) % 10 == 0


_TOKEN = re.compile(r"(?:pm|tok)_[A-Za-z0-9_]{1,250}", re.ASCII)


def check_token(method: PaymentMethod, token: str | None) -> None:
    """Raise InvalidInput for a malformed card token, or for one with another method than CARD."""
    if token is None:
        return
    if method is not PaymentMethod.CARD:
        raise InvalidInput.because(InputProblem.TOKEN_WITHOUT_CARD, field="paymentToken")
    if not _TOKEN.fullmatch(token):
        raise InvalidInput.because(InputProblem.TOKEN_FORM, field="paymentToken")
