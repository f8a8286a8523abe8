"""
Card numbers: they never touch us. What holds one is refused, and wherever one is written it is masked.

A number counts as a card's when its length and beginning are a brand's and its check digit holds: so
the ids, dates and amounts of ours and of the gateways are left alone.
"""

from __future__ import annotations

import re

from domain.methods import PaymentMethod
from domain.refusals import InvalidInput
from domain.sentences import InputProblem

# What stands between the groups that are printed on a card, forms and addresses included.
_BETWEEN = r"(?:[ \t\u00a0\u2009\u202f.+/_–-]{1,3}|%20)"
# Together or in groups, in any script's digits; a part of something longer is none.
_DIGITS = re.compile(
    r"(?<![0-9A-Za-z_.])(?:\d{13,19}"
    rf"|\d{{4}}({_BETWEEN})\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{3}})?"
    rf"|\d{{4}}({_BETWEEN})\d{{6}}\2\d{{4,5}})(?![0-9A-Za-z_]|\.\d)"
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
    return any(_is_card(found) for found in _DIGITS.finditer(text))


def masked(text: str) -> str:
    """Return *text* with nothing left of a card number but what a receipt may print."""
    return _DIGITS.sub(lambda found: _mask(found[0]) if _is_card(found) else found[0], text)


def _is_card(found: re.Match[str]) -> bool:
    digits = _plain(found[0])
    return _BRANDS.fullmatch(digits) is not None and _check_digit_holds(digits)


def _mask(number: str) -> str:
    digits = _plain(number)
    return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"


def _plain(found: str) -> str:
    """Return the digits alone, as we write them."""
    return "".join(str(int(each)) for each in found.replace("%20", "") if each.isdecimal())


def _check_digit_holds(digits: str) -> bool:
    """Luhn: every second digit from the right is doubled, and the sum of all digits ends in 0."""
    values = [int(digit) for digit in reversed(digits)]
    return sum(values[::2] + [sum(divmod(2 * value, 10)) for value in values[1::2]]) % 10 == 0


_TOKEN = re.compile(r"(?:pm|tok)_[A-Za-z0-9_]{1,250}", re.ASCII)


def check_token(method: PaymentMethod, token: str | None) -> None:
    """Raise InvalidInput for a card token that is none, or that comes with another method."""
    if token is None:
        return
    if method is not PaymentMethod.CARD:
        raise InvalidInput.because(InputProblem.TOKEN_WITHOUT_CARD, field="paymentToken")
    if not _TOKEN.fullmatch(token):
        raise InvalidInput.because(InputProblem.TOKEN_FORM, field="paymentToken")
