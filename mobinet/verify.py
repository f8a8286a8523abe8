"""`mobinet verify`: check every invariant, and print the first rows that violate each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import typer

from db.invariants.checks import open_check_connection
from domain.invariants import Invariant
from integrations.heads import Heads
from mobinet.bootstrap import keys_of
from mobinet.settings import Settings
from resolvers.invariants import check_all


async def verify(
    settings: Settings, *, signatures: bool, as_json: bool, write_line: Callable[[str], None]
) -> bool:
    """
    Check everything over two connections, and return whether every invariant holds.

    *write_line* receives each result as soon as it is known; as JSON, all at the end in the order
    of InvariantName. Raises ChecksIncomplete.
    """
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    keys, heads = keys_of(settings).receipts, Heads(settings.data_dir / "heads.log")

    def report(invariant: Invariant, seconds: float) -> None:
        if not as_json:
            write_line(_format_invariant(invariant, seconds))

    async with open_check_connection(url) as first, open_check_connection(url) as second:
        invariants = await check_all(
            [first, second], keys, heads, signatures=signatures, report=report
        )
    holds = all(invariant.holds for invariant in invariants)
    if as_json:
        rows = [_as_json(invariant) for invariant in invariants]
        write_line(json.dumps({"holds": holds, "invariants": rows}))
    else:
        violated = sum(not invariant.holds for invariant in invariants)
        write_line(
            f"\n{'All holds.' if holds else f'{violated} of {len(invariants)} do not hold.'}"
        )
    return holds


def _format_invariant(invariant: Invariant, seconds: float) -> str:
    ok = typer.style("ok  ", fg="green")
    mark = ok if invariant.holds else typer.style("BAD ", fg="red", bold=True)
    lines = [f"{mark} {invariant.name:<26} {invariant.violations:>8} {seconds:>7.1f} s"]
    lines += [f"       {row.table} {row.row}: {row.why}" for row in invariant.rows]
    if invariant.violations > len(invariant.rows):
        lines.append(f"       and {invariant.violations - len(invariant.rows)} more")
    return "\n".join(lines)


def _as_json(invariant: Invariant) -> dict[str, object]:
    return {
        "name": invariant.name,
        "holds": invariant.holds,
        "violations": invariant.violations,
        "rows": [asdict(row) for row in invariant.rows],
        "checkedAt": invariant.checked_at.isoformat(),
    }
