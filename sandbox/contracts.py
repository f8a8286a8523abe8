"""The contracts: one fixed, the others computed from their number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache

from sandbox.overrides import Overrides

FIRST_NUMBER = 2000
NETWORKS = ("097", "098", "096", "091", "090", "093", "094", "032", "070", "081")
# Multiplying by a number coprime to ten million gives each contract its own subscriber number.
SCATTER, SUBSCRIBERS = 7_654_321, 10_000_000
GATHER = pow(SCATTER, -1, SUBSCRIBERS)

FAMILY_NAMES = (
    "Nguyen",
    "Tran",
    "Le",
    "Pham",
    "Hoang",
    "Phan",
    "Vu",
    "Vo",
    "Dang",
    "Bui",
    "Do",
    "Ho",
)
MIDDLE_NAMES = ("Van", "Thi", "Huu", "Duc", "Minh", "Ngoc", "Thanh", "Quoc")
GIVEN_NAMES = (
    "An",
    "Binh",
    "Chi",
    "Dung",
    "Giang",
    "Hanh",
    "Khoa",
    "Lan",
    "Minh",
    "Nam",
    "Phuc",
    "Trang",
)
STREETS = (
    "Le Loi",
    "Nguyen Hue",
    "Tran Hung Dao",
    "Hai Ba Trung",
    "Vo Van Tan",
    "Cach Mang Thang 8",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    kind: str  # bill or fee
    id: str
    amount: int
    content: str
    period_from: str = ""
    period_to: str = ""
    issue_date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    number: str
    type: str
    has_hifpt: bool
    is_messaging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    number: str
    customer_id: str
    name: str
    phones: tuple[Phone, ...]
    status: str
    address: str
    items: tuple[Item, ...]
    email: str | None = None

    @property
    def total(self) -> int:
        return sum(item.amount for item in self.items)

    def item(self, kind: str, id: str) -> Item | None:
        wanted = (kind, id.strip().upper())
        return next((item for item in self.items if (item.kind, item.id) == wanted), None)


def _bill(number: str, amount: int, months_back: int) -> Item:
    """Return the bill of the month that lies *months_back* months before June 2025."""
    year, month = divmod(2025 * 12 + 5 - months_back, 12)
    following, first = divmod(year * 12 + month + 1, 12)
    last = (31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month]
    return Item(
        kind="bill",
        id=number,
        amount=amount,
        content=f"Cước Internet {year}-{month + 1:02}",
        period_from=f"{year}-{month + 1:02}-01",
        period_to=f"{year}-{month + 1:02}-{last}",
        issue_date=f"{following}-{first + 1:02}-01",
    )


FIXED_CONTRACT = Contract(
    number="SGFDN1015",
    customer_id="CUST_001",
    name="Nguyen Van A",
    phones=(Phone(number="0987654321", type="primary", has_hifpt=True, is_messaging=True),),
    status="active",
    address="123 ABC Street, District 1",
    items=(
        _bill("U23SG0073526", 200_000, 0),
        Item(kind="fee", id="FEE_SGFDN1015", amount=300_000, content="Phí hoà mạng"),
    ),
)


@lru_cache(maxsize=20_000)
def generate(serial: int) -> Contract:
    """Return the contract with a serial number, counted from 0; the result is always the same."""
    number = FIRST_NUMBER + serial
    digest = hashlib.sha256(f"contract {number}".encode()).digest()
    bills = 1 + digest[0] % 6
    subscriber = number * SCATTER % SUBSCRIBERS
    phones = [
        Phone(
            number=f"{NETWORKS[number % len(NETWORKS)]}{subscriber:07}",
            type="primary",
            has_hifpt=serial % 3 != 2,
            is_messaging=True,
        )
    ]
    if serial % 5 == 4:
        landline = f"028{30_000_000 + number}"
        phones.append(Phone(number=landline, type="secondary", has_hifpt=False, is_messaging=False))
    street = STREETS[digest[5] % len(STREETS)]
    return Contract(
        number=f"SGFDN{number}",
        customer_id=f"CUST_{number}",
        name=" ".join(
            part[digest[byte] % len(part)]
            for byte, part in ((1, FAMILY_NAMES), (2, MIDDLE_NAMES), (3, GIVEN_NAMES))
        ),
        phones=tuple(phones),
        status="terminated" if serial % 40 == 39 else "active",
        address=f"{1 + digest[4]} {street}, District {1 + digest[6] % 12}",
        items=tuple(
            _bill(
                f"U25SG{number * 10 + back:07}",
                50_000 + _random_number(digest, back) % 851 * 1000,
                back,
            )
            for back in reversed(range(bills))
        ),
        email=f"khachhang{number}@example.vn" if serial % 4 == 1 else None,
    )


def _random_number(digest: bytes, nth: int) -> int:
    return int.from_bytes(digest[8 + 2 * nth : 10 + 2 * nth])


class Contracts:
    def __init__(self, count: int, overrides: Overrides) -> None:
        self.count = count
        self.overrides = overrides

    def find(self, number: str) -> Contract | None:
        """Return the contract of this number, trimmed and in capitals, or None."""
        number = number.strip().upper()
        contract = self._without_overrides(number)
        changed = self.overrides.of("contract", number)
        return replace(contract, **changed) if contract and changed else contract

    def _without_overrides(self, number: str) -> Contract | None:
        if number == FIXED_CONTRACT.number:
            return FIXED_CONTRACT
        digits = number.removeprefix("SGFDN")
        if digits == number or not digits.isascii() or not digits.isdigit() or digits[0] == "0":
            return None
        serial = int(digits) - FIRST_NUMBER
        return generate(serial) if 0 <= serial < self.count else None

    def by_mobile(self, mobile: str) -> Contract | None:
        """Return the contract whose messaging number this is, written `0…`, or None."""
        if mobile == FIXED_CONTRACT.phones[0].number:
            return FIXED_CONTRACT
        if len(mobile) != 10 or not mobile.isascii() or not mobile.isdigit():
            return None
        remainder = int(mobile[3:]) * GATHER % SUBSCRIBERS
        contract = self.find(f"SGFDN{remainder}")
        return contract if contract and contract.phones[0].number == mobile else None


def local_mobile(text: str) -> str | None:
    """Return a Vietnamese mobile number in the form `0987654321`, or None where it is not one."""
    digits = text.replace(" ", "").replace(".", "").removeprefix("+")
    if digits.startswith("84"):
        digits = "0" + digits[2:]
    shaped = len(digits) == 10 and digits.isascii() and digits.isdigit()
    return digits if shaped and digits[:2] in ("03", "05", "07", "08", "09") else None
