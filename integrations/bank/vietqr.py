"""VietQR: the QR of a bank transfer, by the tables of NAPAS (EMVCo, scheme A000000727)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_PURPOSE = 25  # characters
LIMIT = 500_000_000  # VND; a single transfer through NAPAS247 stays below it

# Banks by their BIN, as the State Bank lists them (1589/NHNN-TT, 2024-03-05).
BANKS: Mapping[str, str] = {
    "970400": "SaigonBank",
    "970403": "Sacombank",
    "970405": "Agribank",
    "970406": "DongABank",
    "970407": "Techcombank",
    "970408": "GPBank",
    "970409": "BacABank",
    "970410": "StandardChartered",
    "970412": "PVcomBank",
    "970414": "Oceanbank",
    "970415": "VietinBank",
    "970416": "ACB",
    "970418": "BIDV",
    "970419": "NCB",
    "970421": "VRBank",
    "970422": "MBBank",
    "970423": "TPBank",
    "970424": "ShinhanBank",
    "970425": "ABBank",
    "970426": "MSB",
    "970427": "VietABank",
    "970428": "NamABank",
    "970429": "SCB",
    "970430": "PGBank",
    "970431": "Eximbank",
    "970432": "VPBank",
    "970433": "VietBank",
    "970434": "IndovinaBank",
    "970436": "Vietcombank",
    "970437": "HDBank",
    "970438": "BaoVietBank",
    "970439": "PublicBank",
    "970440": "SeABank",
    "970441": "VIB",
    "970442": "HongLeong",
    "970443": "SHB",
    "970444": "CBBank",
    "970446": "COOPBANK",
    "970448": "OCB",
    "970449": "LPBank",
    "970452": "KienLongBank",
    "970454": "VietCapitalBank",
    "970455": "IBKHN",
    "970456": "IBKHCM",
    "970457": "Woori",
    "970458": "UnitedOverseas",
    "970459": "CIMBBank",
    "970460": "Vietcredit",
    "970462": "KookminHN",
    "970463": "KookminHCM",
    "970464": "TNEXFinance",
    "970465": "SINOPAC",
    "970466": "KEBHanaHCM",
    "970467": "KEBHANAHN",
    "970468": "MAFC",
    "970470": "MCredit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beneficiary:
    """The account that is paid. `bin` is its bank's number."""

    bin: str
    account: str
    name: str = ""
    city: str = ""


def payload(
    beneficiary: Beneficiary, *, amount: int | None = None, purpose: str = "", bill: str = ""
) -> str:
    """Return the QR of a transfer: with an amount for a single transfer, else for many."""
    assert len(purpose) <= MAX_PURPOSE
    account = _tags((("00", beneficiary.bin), ("01", beneficiary.account)))
    body = _tags(
        (
            ("00", "01"),
            ("01", "11" if amount is None else "12"),
            ("38", _tags((("00", "A000000727"), ("01", account), ("02", "QRIBFTTA")))),
            ("53", "704"),
            ("54", "" if amount is None else str(amount)),
            ("58", "VN"),
            ("59", beneficiary.name),
            ("60", beneficiary.city),
            ("62", _tags((("01", bill), ("08", purpose)))),
        )
    )
    return with_checksum(body)


def with_checksum(body: str) -> str:
    """Return *body* with its checksum. The checksum covers its own tag and length too."""
    return f"{body}6304{crc(f'{body}6304')}"


def crc(text: str) -> str:
    """Return CRC-16/CCITT-FALSE as four upper-case hex digits."""
    register = 0xFFFF
    for byte in text.encode():
        register ^= byte << 8
        for _ in range(8):
            carry = register & 0x8000
            register = (register << 1) & 0xFFFF ^ (0x1021 if carry else 0)
    return f"{register:04X}"


def _tags(pairs: Iterable[tuple[str, str]]) -> str:
    """Return tag, length and value of each pair. A pair without a value is left out."""
    text = ""
    for tag, value in pairs:
        assert len(value) <= 99, f"tag {tag} holds 99 characters at most"
        if value:
            text += f"{tag}{len(value):02}{value}"
    return text
