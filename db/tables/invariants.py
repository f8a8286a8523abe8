"""The results of the invariants' checks."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, Timestamptz, Varchar
from piccolo.table import Table

from db.engine import DB


class InvariantRow(Table, tablename="invariant", db=DB):
    """The result of an invariant's last check; `rows` names some of the violations."""

    name = Varchar(length=64, primary_key=True, default=None)
    violations = BigInt(default=None)
    rows = JSONB(default=None)
    checked_at = Timestamptz(default=None)
    fully_checked_at = Timestamptz(default=None, null=True)
