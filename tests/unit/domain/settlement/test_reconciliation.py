"""Reconciliation: when a day agrees with the gateway's file."""

from __future__ import annotations

from datetime import date

import pytest

from domain.methods import GatewayName
from domain.reconciliation import Reconciliation, ReconciliationCounts


@pytest.mark.parametrize(
    ("imported", "open_cases", "counts", "status"),
    [
        (False, 0, {}, "NOT_IMPORTED"),
        (True, 0, {}, "MATCHED"),
        (True, 0, {"matched": 3}, "MATCHED"),
        (True, 1, {"matched": 3}, "DIFFERENCES"),
        (True, 1, {"theirs_only": 1}, "DIFFERENCES"),
        (True, 0, {"matched": 3, "duplicate": 1}, "RESOLVED"),
    ],
)
def test_a_day_is_done_once_all_lines_match_or_every_case_is_resolved(
    imported: bool, open_cases: int, counts: dict[str, int], status: str
) -> None:
    day = Reconciliation(
        gateway=GatewayName.VNPAY,
        date=date(2026, 3, 5),
        imported=imported,
        open_cases=open_cases,
        counts=ReconciliationCounts(**counts),
    )
    assert day.status == status
