"""Foreign keys of the tables."""

from __future__ import annotations

from piccolo.columns import ForeignKey
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.table import Table


def refers_to(table: type[Table], *, null: bool = False) -> ForeignKey[Table]:
    """Return a foreign key that forbids deleting or renaming the row it names."""
    return ForeignKey(
        table, null=null, default=None, on_delete=OnDelete.restrict, on_update=OnUpdate.restrict
    )
