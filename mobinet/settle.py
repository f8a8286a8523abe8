"""`mobinet settle`: import a gateway's settlement file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from domain.methods import GatewayName
from domain.settlement import ImportSummary, SettlementResult
from domain.staff import Actor, Role
from mobinet import logging as logs
from mobinet.bootstrap import process_context
from mobinet.settings import Settings
from resolvers import settlement

OPERATOR = Actor(id="settle", name="mobinet settle", role=Role.SERVICE)


async def settle(
    settings: Settings, gateway: GatewayName, path: Path, day: date | None
) -> ImportSummary:
    """Import the file. Raises BadFile, OSError."""
    logs.configure(settings.env)
    async with process_context(settings, pool_size=2) as context:
        return await settlement.import_file(context.for_actor(OPERATOR), gateway, path, day=day)


def format_summary(summary: ImportSummary) -> str:
    """Return what an import did, in a line for the operator."""
    if summary.imported_at is not None:
        return (
            f"{summary.file} was imported at {summary.imported_at:%Y-%m-%d %H:%M:%S} UTC."
            " Nothing has changed."
        )
    results = ", ".join(
        f"{summary.results[result]} {result.lower().replace('_', ' ')}"
        for result in SettlementResult
        if summary.results.get(result)
    )
    known = f"; {summary.known_lines} known from earlier files" if summary.known_lines else ""
    cases = f"; {_counted(summary.cases, 'case')} opened" if summary.cases else ""
    lines = _counted(summary.lines, "line")
    return f"{summary.file}: {lines}: {results or 'nothing new'}{known}{cases}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
