"""The state of all outer systems in one SQLite file, which survives a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Value = str | int | float | bytes | None

# Raise it with any change of a table below: a file of another version is deleted.
VERSION = 2

TABLES = """
create table answers (
    system text, path text, key text, fingerprint text, status integer, body text,
    primary key (system, path, key)) without rowid;

create table records (
    transaction_id text primary key, contract_number text, method text, paid_at text,
    staff_id text, amount integer, items text, times integer, reversed integer default 0);
create index records_by_contract on records (contract_number);
create table paid_items (
    kind text, item_id text, contract_number text, transaction_id text,
    primary key (kind, item_id)) without rowid;
create index paid_items_by_contract on paid_items (contract_number);
create table reversals (
    system text, reversal_id text, transaction_id text, kind text, amount integer, reason text,
    primary key (system, reversal_id)) without rowid;
create table settlements (
    transaction_id text primary key, contract_number text, amount integer, times integer,
    reversed integer default 0);
create index settlements_by_contract on settlements (contract_number);
create table conflicts (
    system text, transaction_id text, contract_number text, detail text, times integer,
    primary key (system, transaction_id, detail)) without rowid;
create table reasons (
    id integer primary key, contract_number text, reason_code text, note text, staff_id text,
    promised_date text);
create table messages (
    message_id text primary key, system text, recipient text, template text,
    transaction_id text, key text, message text, at real);

create table charges (
    id integer primary key autoincrement, gateway text, reference text, day text,
    gateway_id text, amount integer, currency text, status text, created_at real,
    expires_at real, received integer, paid_at real, token text unique, qr text,
    payment_url text, details text, unique (gateway, reference, day));
create index charges_by_reference on charges (reference);
create index charges_by_qr on charges (qr);
create index charges_by_url on charges (payment_url);
create table refunds (
    id integer primary key autoincrement, charge_id integer, gateway text, refund_reference text,
    gateway_id text, amount integer, at real, unique (gateway, refund_reference));
create index refunds_by_charge on refunds (charge_id);
create table inquiries (
    gateway text, name text, at real, primary key (gateway, name)) without rowid;

create table webhooks (
    id integer primary key autoincrement, gateway text, reference text, fields text,
    forged integer, burst integer, due_at real);
create table calls (
    id integer primary key, webhook_id integer, at real, status_code integer, body text);
create index calls_by_webhook on calls (webhook_id);
create table plans (id integer primary key autoincrement, due_at real, act text);
create table overrides (
    kind text, id text, fields text, primary key (kind, id)) without rowid;
create table faults (
    id integer primary key autoincrement, system text, fault text, times integer,
    probability real, after_processing integer, path text, seconds real);
"""

# A reset of the data empties these. Faults are not data.
DATA = [
    "answers",
    "records",
    "paid_items",
    "reversals",
    "settlements",
    "conflicts",
    "reasons",
    "messages",
    "charges",
    "refunds",
    "inquiries",
    "webhooks",
    "calls",
    "plans",
]


class Store:
    """
    Synchronous access to the SQLite file.

    A statement takes microseconds, so it runs in the event loop. What a handler does between two
    awaits is therefore atomic.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = self._open(path)
        if self._version() not in (0, VERSION):
            self._db.close()
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._db = self._open(path)
        if self._version() == 0:
            self._db.executescript(f"begin; {TABLES} pragma user_version = {VERSION}; commit;")

    def _open(self, path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        return db

    def _version(self) -> int:
        return int(self._db.execute("pragma user_version").fetchone()[0])

    def execute(self, sql: str, *values: Value) -> sqlite3.Cursor:
        return self._db.execute(sql, values)

    def fetch_row(self, sql: str, *values: Value) -> sqlite3.Row | None:
        return self._db.execute(sql, values).fetchone()

    def fetch_rows(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def fetch_value(self, sql: str, *values: Value) -> Any:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit everything or nothing. Never await inside: the connection is shared."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def clear(self) -> None:
        with self.transaction():
            for table in DATA:
                self._db.execute(f"delete from {table}")

    def close(self) -> None:
        self._db.close()
