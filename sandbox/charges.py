"""The charges of all gateways, each under the merchant's reference, and their refunds."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass

from sandbox import clock
from sandbox.store import Store
from sandbox.web import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    id: int
    gateway: str
    reference: str
    day: str
    gateway_id: str
    amount: int  # the amount that the merchant requested
    currency: str
    status: str  # pending paid declined expired; at VNPay also suspicious reversed
    created_at: float
    expires_at: float
    received: int | None
    paid_at: float | None
    token: str  # random, because it is in the address of the customer's page
    qr: str | None
    payment_url: str | None
    details: Json

    @property
    def current_status(self) -> str:
        """Return the status, or expired where a pending charge's time has passed."""
        lapsed = self.status == "pending" and self.expires_at <= clock.now()
        return "expired" if lapsed else self.status

    @property
    def current_amount(self) -> int:
        """Return the amount received, or the requested amount before a payment."""
        return self.amount if self.received is None else self.received

    @property
    def is_final(self) -> bool:
        """Return whether no later outcome changes it; a suspicious charge may still become paid."""
        return self.status in ("paid", "reversed") or "closed" in self.details


def _read(row: sqlite3.Row | None) -> Charge | None:
    return None if row is None else Charge(**dict(row) | {"details": json.loads(row["details"])})


class Charges:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._last = 0

    def number(self) -> str:
        """Return a new gateway id: 14 digits that only grow, also after a reset or a restart."""
        self._last = max(self._last + 1, int(clock.now() * 10_000))
        return str(self._last)

    def open(
        self,
        *,
        gateway: str,
        reference: str,
        amount: int,
        expires_at: float,
        gateway_id: str,
        currency: str = "VND",
        token: str = "",
        day: str = "",
        qr: str | None = None,
        payment_url: str | None = None,
        details: Json,
    ) -> Charge | None:
        """Return the new charge, or None where its reference is taken, on that day if given."""
        try:
            cursor = self._store.execute(
                "insert into charges (gateway, reference, day, gateway_id, amount, currency,"
                " status, created_at, expires_at, token, qr, payment_url, details)"
                " values (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
                gateway, reference, day, gateway_id, amount, currency, clock.now(), expires_at,
                token or secrets.token_hex(16), qr, payment_url, json.dumps(details),
            )  # fmt: skip
        except sqlite3.IntegrityError:
            return None
        return _read(self._store.fetch_row("select * from charges where id = ?", cursor.lastrowid))

    def find(self, *, gateway: str, reference: str, day: str | None = None) -> Charge | None:
        if day is None:
            return _read(self._store.fetch_row(
                "select * from charges where gateway = ? and reference = ? order by id desc",
                gateway, reference,
            ))  # fmt: skip
        return _read(self._store.fetch_row(
            "select * from charges where gateway = ? and reference = ? and day = ?",
            gateway, reference, day,
        ))  # fmt: skip

    def find_by(self, column: str, value: str) -> Charge | None:
        """
        Return the latest charge with this value, or None.

        The column is `reference`, `qr`, `payment_url`, `token` or `gateway_id`.
        """
        assert column in ("reference", "qr", "payment_url", "token", "gateway_id")
        return _read(self._store.fetch_row(
            f"select * from charges where {column} = ? order by id desc",
            value,
        ))  # fmt: skip

    def set_status(
        self,
        charge: Charge,
        status: str,
        received: int | None,
        reason: str | None,
        **details: Json,
    ) -> Charge:
        self._store.execute(
            "update charges set status = ?, received = ?, paid_at = ?, details = ? where id = ?",
            status, received, None if received is None else clock.now(),
            json.dumps(charge.details | {"reason": reason} | details), charge.id,
        )  # fmt: skip
        changed = _read(self._store.fetch_row("select * from charges where id = ?", charge.id))
        assert changed is not None
        return changed

    def all(self) -> list[Charge]:
        rows = self._store.fetch_rows("select * from charges order by id")
        return [charge for row in rows if (charge := _read(row))]

    def refunded(self, charge: Charge) -> int:
        sum_ = self._store.fetch_value(
            "select sum(amount) from refunds where charge_id = ?", charge.id
        )
        return sum_ or 0

    def refund(
        self, charge: Charge, refund_reference: str, amount: int, *, prefix: str = ""
    ) -> str:
        """
        Store a refund and return the gateway's id for it.

        Raises sqlite3.IntegrityError where its reference is taken.
        """
        gateway_id = prefix + self.number()
        self._store.execute(
            "insert into refunds (charge_id, gateway, refund_reference, gateway_id, amount, at)"
            " values (?, ?, ?, ?, ?, ?)",
            charge.id, charge.gateway, refund_reference, gateway_id, amount, clock.now(),
        )  # fmt: skip
        return gateway_id

    def latest_refund(self, charge: Charge) -> Json | None:
        row = self._store.fetch_row(
            "select * from refunds where charge_id = ? order by id desc", charge.id
        )
        return None if row is None else dict(row)

    def refunds(self) -> list[Json]:
        rows = self._store.fetch_rows(
            "select refunds.*, charges.reference, charges.currency from refunds"
            " join charges on charges.id = charge_id order by refunds.id"
        )
        return [dict(row) for row in rows]
