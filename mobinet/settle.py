"""`mobinet settle`: a gateway's settlement file, imported by whoever runs the command."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from domain.methods import GatewayName
from domain.settlement import Settled, SettlementResult
from domain.staff import Actor, Role
from mobinet import logging as logs
from mobinet.bootstrap import running
from mobinet.settings import Settings
from resolvers import settlement

OPERATOR = Actor(id="settle", name="mobinet settle", role=Role.SERVICE)


async def settle(settings: Settings, gateway: GatewayName, path: Path, day: date | None) -> Settled:
    """Import the file. Raises BadFile, OSError."""
    logs.configure(settings.env)
    async with running(settings, pool_size=2) as context:
        return await settlement.import_file(context.for_actor(OPERATOR), gateway, path, day=day)


def told(done: Settled) -> str:
    """Return what an import did, for whoever ran it."""
    if done.since is not None:
        return (
            f"{done.file} was imported at {done.since:%Y-%m-%d %H:%M:%S} UTC. Nothing has changed."
        )
    counts = ", ".join(
        f"{done.results[result]} {result.lower().replace('_', ' ')}"
        for result in SettlementResult
        if done.results.get(result)
    )
    known = f"; {done.known} known from earlier files" if done.known else ""
    cases = f"; {_counted(done.cases, 'case')} opened" if done.cases else ""
    lines = _counted(done.lines, "line")
    return f"{done.file}: {lines}: {counts or 'nothing new'}{known}{cases}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
