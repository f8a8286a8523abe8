"""An EMV merchant-presented QR: tags, lengths, values and a checksum."""

from __future__ import annotations

from collections.abc import Iterable


def tlv(tag: str, value: str) -> str:
    if not 1 <= len(value) <= 99:
        raise ValueError(f"tag {tag} holds 1 to 99 characters, not {len(value)}")
    return f"{tag}{len(value):02}{value}"


def crc(text: str) -> str:
    """
    Return the CRC-16/CCITT-FALSE checksum as four upper-case hexadecimal digits.

    Polynomial 0x1021, initial value 0xFFFF, not reflected.
    """
    register = 0xFFFF
    for byte in text.encode():
        register ^= byte << 8
        for _ in range(8):
            carry = register & 0x8000
            register = (register << 1 ^ (0x1021 if carry else 0)) & 0xFFFF
    return f"{register:04X}"


def encode(tags: Iterable[tuple[str, str]]) -> str:
    """Return the payload of the tags in their order, with its checksum at the end."""
    body = "".join(tlv(tag, value) for tag, value in tags) + "6304"
    return body + crc(body)


def has_valid_checksum(payload: str) -> bool:
    """Return whether the payload ends with its correct checksum."""
    return payload[-8:-4] == "6304" and crc(payload[:-4]) == payload[-4:].upper()


def decode(text: str) -> dict[str, str]:
    """
    Return the tags and their values.

    Raises ValueError where a length does not fit or a tag is repeated.
    """
    tags: dict[str, str] = {}
    while text:
        tag, length, text = text[:2], text[2:4], text[4:]
        if not (tag + length).isdigit() or len(length) != 2 or not 0 < int(length) <= len(text):
            raise ValueError(f"tag {tag}: this length does not fit")
        if tag in tags:
            raise ValueError(f"tag {tag} is repeated")
        tags[tag], text = text[: int(length)], text[int(length) :]
    return tags


def vnpay_merchant(*, terminal: str, amount: int, bill: str, number: str, purpose: str) -> str:
    """Return VNPay's merchant QR: scheme A000000775 in tag 26, the payment's details in tag 62."""
    return encode(
        (
            ("00", "01"),
            ("01", "12"),
            ("26", tlv("00", "A000000775") + tlv("01", terminal)),
            ("52", "4814"),
            ("53", "704"),
            ("54", str(amount)),
            ("58", "VN"),
            ("59", "FPT TELECOM"),
            ("60", "HO CHI MINH"),
            (
                "62",
                # At most 99 characters: 29 + 19 + 12 + 29.
                tlv("01", bill[:25])
                + tlv("05", number)
                + tlv("07", terminal)
                + tlv("08", purpose[:25]),
            ),
        )
    )
