"""A settlement file is imported whole or not at all, and once, also by imports at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.calendar import business_date
from domain.methods import GatewayName
from domain.settlement import ImportSummary
from integrations.settlement import BadFile
from mobinet.settle import OPERATOR
from resolvers import settlement, settlement_lines
from tests.support.requests.settlement import HEADER, Desk, changed
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]

GOOD = "R1,1,payment,1000,VND,success,2026-03-04T12:00:00+07:00"
TOMORROW = (datetime.now(UTC) + timedelta(days=2)).isoformat()
BAD: dict[str, tuple[list[str], str]] = {
    "no header": ([], "line 1: the header"),
    "another header": (["reference,amount"], "line 1: the header"),
    "no lines and no day": ([HEADER], "--date"),
    "a column too few": ([HEADER, GOOD, "R2,1,payment,1000,VND,success"], "line 3: 7 columns"),
    "an empty line": ([HEADER, "", GOOD], "line 2: 7 columns"),
    "separators alone": ([HEADER, GOOD, ",,,,,,", GOOD], "line 3, column reference"),
    "blanks alone": ([HEADER, GOOD, " ", "", GOOD, ""], "line 3: 7 columns"),
    "nothing but empty lines": ([HEADER, "", ",,,,,,"], "--date"),
    "an empty line at first": (["", HEADER, GOOD], "line 1: the header"),
    "no reference": ([HEADER, changed(GOOD, reference="")], "line 2, column reference"),
    "blanks": ([HEADER, changed(GOOD, reference=" R1")], "line 2, column reference"),
    "a control character": ([HEADER, changed(GOOD, gateway_id="1\a")], "line 2, column gateway_id"),
    "another kind": ([HEADER, GOOD, changed(GOOD, kind="fee")], "line 3, column kind"),
    "a fraction": ([HEADER, changed(GOOD, amount="1000.5")], "line 2, column amount"),
    "a separator": ([HEADER, changed(GOOD, amount="200.000")], "line 2, column amount"),
    "a fraction of nothing": ([HEADER, changed(GOOD, amount="1000.000")], "line 2, column amount"),
    "nothing with a fraction": ([HEADER, changed(GOOD, amount="0.00")], "line 2, column amount"),
    "an exponent": ([HEADER, changed(GOOD, amount="1e6")], "line 2, column amount"),
    "nothing": ([HEADER, changed(GOOD, amount="0")], "line 2, column amount"),
    "less": ([HEADER, changed(GOOD, amount="-5")], "line 2, column amount"),
    "Arabic digits": ([HEADER, changed(GOOD, amount="١٠٠")], "line 2, column amount"),
    "too much": ([HEADER, changed(GOOD, amount=2**53)], "line 2, column amount"),
    "another currency": ([HEADER, changed(GOOD, currency="vnd")], "line 2, column currency"),
    "another status": ([HEADER, changed(GOOD, status="failed")], "line 2, column status"),
    "no offset": ([HEADER, changed(GOOD, at="2026-03-04T12:00:00")], "line 2, column at"),
    "no such day": ([HEADER, changed(GOOD, at="2026-02-30T12:00:00Z")], "line 2, column at"),
    "the future": ([HEADER, changed(GOOD, at=TOMORROW)], "line 2, column at"),
    "a year": ([HEADER, GOOD, changed(GOOD, at="2025-03-04T12:00:00Z")], "more than 31 days"),
    "an open quote": ([HEADER, 'R1,"1,payment'], "line 2"),
    "no UTF-8": ([HEADER, changed(GOOD, reference="R\udcff")], "line 2, column reference"),
}


@pytest.mark.parametrize(("lines", "why"), BAD.values(), ids=BAD)
def test_a_bad_file_names_what_is_wrong_and_changes_nothing(
    desk: Desk, lines: list[str], why: str
) -> None:
    path = desk.folder / "bad.csv"
    path.write_bytes("\n".join([*lines, ""]).encode(errors="surrogateescape"))
    before = desk.api.dump()
    with pytest.raises(BadFile, match=why):
        desk.imports_file(path)
    after = desk.api.dump()
    audited = after.pop("audit_event") - before.pop("audit_event")
    assert audited.total() == 1, "that it was tried"
    assert after == before


@pytest.mark.parametrize("end", [".0", ".00"])
def test_a_line_in_another_notation_is_the_same_line(desk: Desk, end: str) -> None:
    qr = desk.pays()
    line = desk.line(qr)
    other = changed(line, amount=f"{qr['amount']}{end}")
    assert desk.imports(other).cases == 0
    (settled_line,) = desk.of(qr)
    assert (settled_line["result"], settled_line["theirs"]) == ("MATCHED", qr["amount"])
    assert desk.imports(line, desk.line(desk.pays())).known_lines == 1


def test_a_bad_line_at_the_end_undoes_all_before_it(desk: Desk) -> None:
    qr = desk.pays(drop_webhook=True)
    good = desk.line(qr)
    with pytest.raises(BadFile, match="line 3, column amount"):
        desk.imports(good, changed(good, amount="x"))
    assert desk.status(qr) == "PROCESSING"
    assert desk.of(qr) == []


def test_an_empty_file_of_a_day_makes_all_of_it_ours_only(desk: Desk) -> None:
    qr = desk.pays()
    desk.imports(day=business_date(datetime.now(UTC)))
    assert [item["result"] for item in desk.of(qr)] == ["OURS_ONLY"]
    assert desk.day("2026-03-05")["status"] == "NOT_IMPORTED"
    desk.imports(day=datetime(2026, 3, 5, tzinfo=UTC).date())
    assert desk.day("2026-03-05")["status"] == "MATCHED"


def test_a_byte_order_mark_and_windows_line_ends_are_read(alone: Desk) -> None:
    qr = alone.pays()
    path = alone.folder / "windows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{alone.line(qr)}\r\n".encode())
    alone.imports_file(path)
    assert alone.of(qr)[0]["result"] == "MATCHED"


ENDS = {
    "an empty line": b"\n",
    "semicolons": b";;;;;;\r\n",
    "the end mark of DOS": b"\x1a",
    "a stray byte order mark": b"\xef\xbb\xbf\n",
    "several": b"\n\n\n",
    "Windows": b"\r\n\r\n",
    "separators": b",,,,,,\n",
    "separators without an end": b",,,,,,",
    "more separators than columns": b",,,,,,,,,,\n",
    "blanks": b"   \t \n",
    "blank cells": b" , ,,\t,,,\r\n",
    "quoted nothing": b'"","","","","","",""\n',
    "no-break spaces": "\xa0,\xa0,,,,,\n".encode(),
    "all of them": b"\r\n,,,,,,\r\n  \r\n\r\n,\r\n",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_empty_lines_at_the_end_are_ignored(alone: Desk, end: bytes) -> None:
    qr = alone.pays()
    path = alone.folder / "export.csv"
    path.write_bytes(f"{HEADER}\n{alone.line(qr)}\n".encode() + end)
    result = alone.imports_file(path)
    assert (result.lines, result.cases, result.known_lines) == (1, 0, 0)
    assert [item["result"] for item in alone.of(qr)] == ["MATCHED"]


def test_a_file_that_gained_empty_lines_is_known_line_by_line(alone: Desk) -> None:
    qr = alone.pays()
    alone.imports(alone.line(qr, amount=1))
    before = alone.of(qr)
    result = alone.imports(alone.line(qr, amount=1), "", ",,,,,,")
    assert (result.lines, result.known_lines, result.cases, result.results) == (1, 1, 0, {})
    assert alone.of(qr) == before
    assert alone.cases(qr) == ["SETTLEMENT"]


def test_an_empty_line_within_undoes_all_before_it(alone: Desk) -> None:
    qr, other = alone.pays(drop_webhook=True), alone.pays()
    with pytest.raises(BadFile, match="line 3: 7 columns"):
        alone.imports(alone.line(qr), "", alone.line(other))
    assert alone.status(qr) == "PROCESSING"
    assert alone.of(qr) == []


# ── imports at once, and long files ──────────────────────────────────────────────────────────────


@pytest.mark.invariant(29)
def test_the_same_file_imported_by_two_at_once_is_imported_once(alone: Desk) -> None:
    qr = alone.pays()
    path = alone.folder / "twice.csv"
    path.write_text(f"{HEADER}\n{alone.line(qr, amount=1)}\n")
    context = alone.api.context.for_actor(OPERATOR)

    async def both() -> list[ImportSummary]:
        return list(
            await asyncio.gather(
                *(settlement.import_file(context, GatewayName.VNPAY, path) for _ in range(2))
            )
        )

    assert sorted(item.imported_at is None for item in alone.api.run(both())) == [False, True]
    assert alone.cases(qr) == ["SETTLEMENT"]


def test_one_line_in_two_files_imported_at_once_is_stored_once(alone: Desk) -> None:
    qr, other = alone.pays(), alone.pays()
    line = alone.line(qr, amount=1)
    paths = [alone.folder / "one.csv", alone.folder / "other.csv"]
    paths[0].write_text(f"{HEADER}\n{line}\n{alone.line(other)}\n")
    paths[1].write_text(f"{HEADER}\n{alone.line(other)}\n{line}\n")
    context = alone.api.context.for_actor(OPERATOR)

    async def both() -> None:
        await asyncio.gather(
            *(settlement.import_file(context, GatewayName.VNPAY, path) for path in paths)
        )

    alone.api.run(both())
    assert [item["result"] for item in alone.of(qr)] == ["AMOUNT_DIFFERS"]
    assert alone.cases(qr) == ["SETTLEMENT"]


def test_a_long_file_is_imported_whole(alone: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement_lines, "BATCH", 2)
    paid = [alone.pays() for _ in range(5)]
    lines = [alone.line(item) for item in paid]
    result = alone.imports(*lines, lines[0])
    assert {item["result"] for qr in paid[1:] for item in alone.of(qr)} == {"MATCHED"}
    assert sorted(item["result"] for item in alone.of(paid[0])) == ["DUPLICATE", "MATCHED"]
    assert (result.lines, result.cases) == (6, 1)


# ── the command ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def command(api: Api) -> Callable[..., subprocess.CompletedProcess[str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")} | {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": api.settings.redis_url.get_secret_value(),  # type: ignore[union-attr]
        "MOBINET_DATA_DIR": str(api.settings.data_dir),
    }

    def run(*given: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "mobinet", "settle", *given]
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False)

    return run


def test_the_command_imports_and_prints_the_result(alone: Desk, command: Any) -> None:
    qr = alone.pays()
    path = alone.folder / "today.csv"
    path.write_text(f"{HEADER}\n{alone.line(qr)}\n")
    result = command("vnpay", str(path))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "today.csv: 1 line: 1 matched."
    again = command("vnpay", str(path))
    assert again.returncode == 0
    assert "Nothing has changed" in again.stdout
    path.write_text("amount\n")
    bad = command("vnpay", str(path))
    assert bad.returncode == 1
    assert bad.stderr.startswith("today.csv: line 1: the header must be")
    assert command("nobody", str(path)).returncode == 1
    missing = command("vnpay", str(alone.folder / "none.csv"))
    assert missing.returncode == 2
    words = missing.stderr.replace("│", " ").split()
    assert "does not exist" in " ".join(words), "in a box that breaks lines"
