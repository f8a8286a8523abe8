"""The rows of the table, each beside what it measures; their order is the table's."""

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
