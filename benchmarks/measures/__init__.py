"""All rows, in the order of the table."""

from __future__ import annotations

from benchmarks.measures import cash, jobs, qr, reads, sockets, storms, tables
from benchmarks.row import Row

ROWS: tuple[Row, ...] = (
    *reads.ROWS,
    *storms.ROWS,
    *cash.ROWS,
    *jobs.ROWS,
    *qr.ROWS,
    *sockets.ROWS,
    *tables.ROWS,
)
