"""Card numbers are found by brand, length and check digit; our own numbers are not matched."""

from __future__ import annotations

import pytest

from domain.cards import holds_card_number, masked

VISA = "4242424242424242"
NUMBERS = {
    "Visa": VISA,
    "Visa of 13 digits": "4222222222222",
    "Mastercard": "5555555555554444",
    "Mastercard of the second series": "2223003122003222",
    "American Express": "378282246310005",
    "Diners Club": "30569309025904",
    "JCB": "3566002020360505",
    "Discover": "6011111111111117",
    "UnionPay": "6200000000000005",
    "NAPAS": "9704198526191432198",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_card_number_is_found_inside_any_text(number: str) -> None:
    for text in (number, f"thẻ {number}", f'{{"n":{number}}}', f"card-{number}", f"số:{number}."):
        assert holds_card_number(text), text
        assert number not in masked(text)
        assert masked(text).endswith(text[text.index(number) + len(number) - 4 :])


@pytest.mark.parametrize(
    "written",
    [
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "3782 822463 10005",
        "4242.4242.4242.4242",
        "4242\u00a04242\u00a04242\u00a04242",
        "4242  4242  4242  4242",
        "4242 - 4242 - 4242 - 4242",
        "4242+4242+4242+4242",
        "4242%204242%204242%204242",
        "９７０４ １９８５ ２６１９ １４３２ １９８",
        "４２４２４２４２４２４２４２４２",
    ],
)
def test_a_card_number_is_found_as_it_is_printed_on_the_card(written: str) -> None:
    assert holds_card_number(f"({written})")
    assert written not in masked(written)


def test_a_mask_leaves_six_and_four_digits_and_the_rest_of_the_text() -> None:
    assert masked(f"thẻ {VISA} của khách") == "thẻ 424242******4242 của khách"


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # wrong check digit
        "1234567890123452",  # no brand's prefix
        f"{VISA}0000000000",  # part of a longer number
        f"TXN_{VISA}",
        f"0.{VISA}",
        "0987654321",
        "20250729101733",
        "1753758000123",
        "9007199254740991",
        "44444444-4242-4242-4242-424242424242",
        "U23SG0073526 200.000 đ",
        "4.242.424.242.424.242 đ",
        "2025-0729 10:17:33",
        "",
    ],
)
def test_other_numbers_are_not_masked(text: str) -> None:
    assert not holds_card_number(text)
    assert masked(text) == text
