"""What `mobinet verify` says: each invariant by name, and of what violates it the first rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import typer

from db.invariants.checks import examination
from domain.invariants import Invariant
from integrations.heads import Heads
from mobinet.bootstrap import keys_of
from mobinet.settings import Settings
from resolvers.invariants import prove


async def verify(
    settings: Settings, *, signatures: bool, as_json: bool, say: Callable[[str], None]
) -> bool:
    """
    Check everything on two cores, say what was found, and return whether all of it holds.

    Each finding is said as soon as it is known; as JSON, they are in the order of InvariantName.
    Raises Unanswered.
    """
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    keys, heads = keys_of(settings).receipts, Heads(settings.data_dir / "heads.log")

    def tell(item: Invariant, seconds: float) -> None:
        if not as_json:
            say(_told(item, seconds))

    async with examination(url) as one_core, examination(url) as another:
        found = await prove([one_core, another], keys, heads, signatures=signatures, tell=tell)
    holds = all(item.holds for item in found)
    if as_json:
        say(json.dumps({"holds": holds, "invariants": [_as_data(item) for item in found]}))
    else:
        broken = sum(not item.holds for item in found)
        say(f"\n{'All holds.' if holds else f'{broken} of {len(found)} do not hold.'}")
    return holds


def _told(item: Invariant, seconds: float) -> str:
    good = typer.style("ok  ", fg="green")
    mark = good if item.holds else typer.style("BAD ", fg="red", bold=True)
    lines = [f"{mark} {item.name:<26} {item.violations:>8} {seconds:>7.1f} s"]
    lines += [f"       {row.table} {row.row}: {row.why}" for row in item.rows]
    if item.violations > len(item.rows):
        lines.append(f"       and {item.violations - len(item.rows)} more")
    return "\n".join(lines)


def _as_data(item: Invariant) -> dict[str, object]:
    return {
        "name": item.name,
        "holds": item.holds,
        "violations": item.violations,
        "rows": [asdict(row) for row in item.rows],
        "checkedAt": item.checked_at.isoformat(),
    }
