"""What the database layer raises where a caller names a row that does not exist."""

from __future__ import annotations


class RowMissing(Exception):
    """
    A row that must exist does not: another row, a job or a committed transaction names it.

    It is a fault, not a refusal: a client's id is looked up with `by_id` instead.
    """

    def __init__(self, table: str, row_id: str) -> None:
        super().__init__(f"{table} {row_id} does not exist")
        self.table = table
        self.row_id = row_id
