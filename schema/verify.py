"""What `mobinet verify` says: each invariant by name, and of what violates it the first rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

import typer

from db.invariants import examination
from domain.invariants import Invariant
from integrations.heads import Heads
from resolvers.invariants import prove
from schema.bootstrap import keys_of
from schema.settings import Settings


async def verify(
    settings: Settings, *, signatures: bool, as_json: bool, say: Callable[[str], None]
) -> bool:
    """Check everything, say what was found, and return whether all of it holds."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    keys, heads = keys_of(settings).receipts, Heads(settings.data_dir / "heads.log")
    found: list[Invariant] = []
    began = time.perf_counter()
    async with examination(url) as connection:
        async for one in prove(connection, keys, heads, signatures=signatures):
            found.append(one)
            if not as_json:
                say(_told(one, time.perf_counter() - began))
            began = time.perf_counter()
    holds = all(one.holds for one in found)
    if as_json:
        say(json.dumps({"holds": holds, "invariants": [_as_data(one) for one in found]}))
    else:
        broken = sum(not one.holds for one in found)
        say(f"\n{'All holds.' if holds else f'{broken} of {len(found)} do not hold.'}")
    return holds


def _told(one: Invariant, seconds: float) -> str:
    good = typer.style("ok  ", fg="green")
    mark = good if one.holds else typer.style("BAD ", fg="red", bold=True)
    lines = [f"{mark} {one.name:<26} {one.violations:>8} {seconds:>7.1f} s"]
    lines += [f"       {row.table} {row.row}: {row.why}" for row in one.rows]
    if one.violations > len(one.rows):
        lines.append(f"       and {one.violations - len(one.rows)} more")
    return "\n".join(lines)


def _as_data(one: Invariant) -> dict[str, object]:
    return {
        "name": one.name,
        "holds": one.holds,
        "violations": one.violations,
        "rows": [asdict(row) for row in one.rows],
        "checkedAt": one.checked_at.isoformat(),
    }
