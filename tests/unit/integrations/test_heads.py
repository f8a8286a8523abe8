"""The file of the audit chain's heads after a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from domain.chain import Seal
from integrations.heads import Heads


def a_seal(last: int) -> Seal:
    return Seal(
        first=last,
        last=last,
        head=last.to_bytes(32, "big"),
        key_id="key",
        signature=b"signature",
        sealed_at=datetime(2026, 3, 4, tzinfo=UTC),
    )


def test_a_torn_line_is_skipped_and_the_next_line_is_read(tmp_path: Path) -> None:
    heads = Heads(tmp_path / "heads.log")
    heads.add(a_seal(1))
    with heads.path.open("a") as file:
        file.write('{"number": 2, "he')
    assert [head.number for head in heads.read()] == [1]
    heads.add(a_seal(3))
    assert [head.number for head in heads.read()] == [1, 3]
