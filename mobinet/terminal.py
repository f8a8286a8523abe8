"""What `mobinet run` prints: the addresses at its start, and warnings of the services."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import typer

from mobinet.services import Service
from mobinet.settings import Settings

_MAX_LOG_BYTES = 10 * 1024 * 1024
_RECENT_LINES = 30
_PROBLEM = re.compile(r"\b(warning|error|critical|exception)\b|^Traceback ", re.IGNORECASE)
_LEVEL = re.compile(r'"level": ?"(\w+)"')
_STAFF = (
    ("NV001", "collector: 10,000,000 a day, 5,000,000 a payment, 2,000,000 used"),
    ("NV002", "collector: 50,000,000 a day, 20,000,000 a payment"),
    ("SV001", "supervisor"),
    ("CA001", "cashier"),
    ("FI001", "finance, and FI002 for the second pair of eyes"),
    ("AD001", "administrator"),
    ("AU001", "auditor"),
)


class ServiceOutput:
    """Writes each service's output to its log file, and problems to the terminal too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs: dict[str, IO[str]] = {}
        self._recent: dict[str, deque[str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def copy(self, name: str, stream: asyncio.StreamReader | None) -> None:
        """Copy a service's output until it ends."""
        assert stream is not None
        in_traceback = False
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                in_traceback = self._copy_line(name, line.decode(errors="replace"), in_traceback)
        if rest:
            self._copy_line(name, rest.decode(errors="replace"), in_traceback)

    def report(self, name: str, line: str) -> None:
        """Write a line of a service, or about it, to its log and to the terminal."""
        self._write(name, line)
        typer.echo(f"{typer.style(f'{name:>8} │', fg='yellow')} {line}", err=True)

    def recent(self, name: str) -> str:
        """Return the last lines of a service's output."""
        return "\n".join(f"{name:>8} │ {line}" for line in self._recent.get(name, ()))

    def close(self) -> None:
        for log in self._logs.values():
            log.close()

    def _copy_line(self, name: str, line: str, in_traceback: bool) -> bool:
        """Copy a line, and return whether the next one may continue a traceback."""
        continues = in_traceback and line.startswith((" ", "\t"))
        if _is_problem(line) or continues or (in_traceback and line):
            self.report(name, line)
        else:
            self._write(name, line)
        return line.startswith("Traceback ") or continues

    def _write(self, name: str, line: str) -> None:
        if name not in self._logs:
            path = self._folder / f"{name}.log"
            if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
            self._logs[name] = path.open("a", buffering=1)
        self._logs[name].write(f"{line}\n")
        self._recent.setdefault(name, deque(maxlen=_RECENT_LINES)).append(line)


def _is_problem(line: str) -> bool:
    """Return whether a line reports a problem: by its level where it is JSON, else by its words."""
    level = _LEVEL.search(line) if line.startswith("{") else None
    return bool(_PROBLEM.search(level[1] if level else line))


def banner(settings: Settings, services: Sequence[Service]) -> str:
    lines = ["", typer.style("Mobinet is up.", bold=True, fg="green"), ""]
    lines += [f"  {service.name:<10}{service.url}" for service in services if service.url]
    lines += [
        f"  {'graphql':<10}{settings.public_url}/graphql",
        f"  {'logs':<10}{settings.data_dir / 'logs'}",
        "",
    ]
    if any(service.name == "sandbox" for service in services):
        lines += [
            "  Log in at the sandbox as; the password is `mobinet` and the id, as in mobinetNV001:"
        ]
        lines += [f"    {staff_id}  {role}" for staff_id, role in _STAFF]
        lines += [""]
    return "\n".join([*lines, "Ctrl-C stops it. The data stays, and the next start is quick.", ""])
