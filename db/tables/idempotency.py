"""Idempotency keys."""

from __future__ import annotations

from piccolo.columns import BigSerial, Bytea, Integer, Timestamptz, Varchar
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB


class IdempotencyKeyRow(Table, tablename="idempotency_key", db=DB):
    """
    A client's key, and the id of what its first request opened.

    `process` is the number of the process that runs the first request.
    """

    id = BigSerial(primary_key=True)
    actor_id = Varchar(length=64, default=None)
    operation = Varchar(length=40, default=None)
    key = Varchar(length=128, default=None)
    fingerprint = Bytea(default=None)
    subject_id = Varchar(length=40, default=None)
    process = Integer(default=None)
    created_at = Timestamptz(default=None)
    answered_at = Timestamptz(default=None, null=True)

    one_meaning_a_key = Unique(["actor_id", "operation", "key"])
