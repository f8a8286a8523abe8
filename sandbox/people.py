"""The members of staff: their passwords, limits and wallets."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace

from sandbox.overrides import Overrides

COLLECTOR_PERMISSIONS = ("payment_processing", "reason_management")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: str
    name: str
    role: str
    daily_limit: int = 0
    per_transaction_limit: int = 0
    used_today: int = 0
    permissions: tuple[str, ...] = ()
    team: str | None = None

    @property
    def password(self) -> str:
        return f"mobinet{self.id}"


FIXED_STAFF = {
    person.id: person
    for person in (
        Person(
            id="NV001", name="Tran Thi Bich", role="TIN_PNC", team="HCM1",
            permissions=COLLECTOR_PERMISSIONS,
            daily_limit=10_000_000, per_transaction_limit=5_000_000, used_today=2_000_000,
        ),
        Person(
            id="NV002", name="Le Van Cuong", role="TIN_PNC", team="HCM1",
            permissions=COLLECTOR_PERMISSIONS,
            daily_limit=50_000_000, per_transaction_limit=20_000_000,
        ),
        Person(
            id="SV001", name="Pham Quoc Dung", role="SUPERVISOR", permissions=COLLECTOR_PERMISSIONS,
            team="HCM1", daily_limit=50_000_000, per_transaction_limit=20_000_000,
        ),
        Person(id="CA001", name="Hoang Thi Em", role="CASHIER"),
        Person(id="FI001", name="Vo Minh Giang", role="FINANCE"),
        Person(id="FI002", name="Dang Ngoc Ha", role="FINANCE"),
        Person(id="AD001", name="Bui Duc Khanh", role="ADMIN"),
        Person(id="AU001", name="Do Thanh Lam", role="AUDITOR"),
    )
}  # fmt: skip


class People:
    def __init__(self, wallet_secret: str, overrides: Overrides) -> None:
        self._wallet_secret = wallet_secret.encode()
        self._overrides = overrides

    def find(self, id: str) -> Person | None:
        """Return the person with this number, trimmed and in capitals, or None."""
        number = id.strip().upper()
        person = self._without_overrides(number)
        changed = self._overrides.of("staff", number)
        return replace(person, **changed) if person and changed else person

    def _without_overrides(self, id: str) -> Person | None:
        if id in FIXED_STAFF:
            return FIXED_STAFF[id]
        number = id.removeprefix("NV")
        if number == id or len(number) != 4 or not number.isascii() or not number.isdigit():
            return None
        if number[0] != "1":
            return None
        return Person(
            id=id,
            name=f"Collector {number}",
            role="TIN_PNC",
            permissions=COLLECTOR_PERMISSIONS,
            team=f"T0{number[-1]}",
            daily_limit=10_000_000_000,
            per_transaction_limit=500_000_000,
        )

    def wallet_token(self, person: Person) -> str:
        """Return this person's token at FPT Pay; it never changes and cannot be guessed."""
        proof = hmac.new(self._wallet_secret, f"wallet of {person.id}".encode(), hashlib.sha256)
        return f"fpt.{person.id}.{proof.hexdigest()[:40]}"

    def by_wallet_token(self, token: str) -> Person | None:
        person = self.find(token.split(".")[1]) if token.count(".") == 2 else None
        if person and hmac.compare_digest(self.wallet_token(person).encode(), token.encode()):
            return person
        return None
