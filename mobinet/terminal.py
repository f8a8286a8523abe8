"""What the one who ran `make run` sees: where everything is, and of the parts' output only what is wrong."""

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

import typer

from mobinet.settings import Settings

_MOST_BYTES_OF_A_LOG = 10 * 1024 * 1024
_WRONG = re.compile(r"\b(warning|error|critical|exception)\b|^Traceback ", re.IGNORECASE)
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


class Voice:
    """Writes each part's output to a log of its own, and what is wrong to the terminal too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs: dict[str, IO[str]] = {}
        self._last: dict[str, deque[str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def listen(self, name: str, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        in_trace = False
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                in_trace = self._record_vote(name, line.decode(errors="replace"), in_trace)
        if rest:
            self._record_vote(name, rest.decode(errors="replace"), in_trace)

    def say(self, name: str, line: str) -> None:
        """Something that we say about a part ourselves."""
        self._write(name, line)
        typer.echo(f"{typer.style(f'{name:>8} │', fg='yellow')} {line}", err=True)

    def last(self, name: str) -> str:
        """The end of what it said."""
        return "\n".join(f"{name:>8} │ {line}" for line in self._last.get(name, ()))

    def close(self) -> None:
        for log in self._logs.values():
            log.close()

    def _record_vote(self, name: str, line: str, in_trace: bool) -> bool:
        """Whether the next line may belong to this one, as in a traceback."""
        begins, goes_on = _is_wrong(line), in_trace and line.startswith((" ", "\t"))
        if begins or goes_on or (in_trace and line):
            self.say(name, line)
        else:
            self._write(name, line)
        return line.startswith("Traceback ") or goes_on

    def _write(self, name: str, line: str) -> None:
        if name not in self._logs:
            path = self._folder / f"{name}.log"
            if path.exists() and path.stat().st_size > _MOST_BYTES_OF_A_LOG:
                path.replace(path.with_suffix(".log.1"))
            self._logs[name] = path.open("a", buffering=1)
        self._logs[name].write(f"{line}\n")
        self._last.setdefault(name, deque(maxlen=30)).append(line)


def _is_wrong(line: str) -> bool:
    """By the level where the line has fields, so that a calm line may speak of an error."""
    level = _LEVEL.search(line) if line.startswith("{") else None
    return bool(_WRONG.search(level[1] if level else line))


class _Part(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str | None: ...


def banner(settings: Settings, parts: Sequence[_Part]) -> str:
    addresses = [(part.name, part.url) for part in parts if part.url]
    lines = ["", typer.style("Mobinet is up.", bold=True, fg="green"), ""]
    lines += [f"  {name:<10}{url}" for name, url in addresses]
    lines += [
        f"  {'graphql':<10}{settings.public_url}/graphql",
        f"  {'logs':<10}{settings.data_dir / 'logs'}",
        "",
    ]
    if any(part.name == "sandbox" for part in parts):
        lines += [
            "  Log in at the sandbox as; the password is `mobinet` and the id, as in mobinetNV001:"
        ]
        lines += [f"    {staff_id}  {role}" for staff_id, role in _STAFF]
        lines += [""]
    return "\n".join([*lines, "Ctrl-C stops it. The data stays, and the next start is quick.", ""])
