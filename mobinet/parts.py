"""What there is to run, and in which order: the system as its supervisor sees it."""

import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mobinet.settings import Settings


class CannotRun(Exception):
    """The text says why, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    command: Sequence[str]
    url: str | None = None
    answers_at: str | None = None
    """What says 200 once the part can work; None: it works as soon as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is started, and ended in the opposite order."""

    first: Sequence[Part]
    prepare: Callable[[str], Awaitable[None]]
    """What must succeed with the database before the others touch it."""
    then: Sequence[Part]
    """Started at once too, since loading takes them longest; each waits until its standard input ends."""
    ports: dict[str, int] = field(default_factory=dict[str, int])
    """The setting that chooses each port that we need."""


def plan(settings: Settings, workers: int = 1) -> Plan:
    def mobinet(*words: str) -> Sequence[str]:
        return (sys.executable, "-m", "mobinet", *words)

    sandbox = Part(
        name="sandbox",
        command=(sys.executable, "-m", "sandbox"),
        url=settings.sandbox_url,
        answers_at=f"{settings.sandbox_url}/healthz",
    )
    url = f"http://127.0.0.1:{settings.port}"
    api = Part(
        name="api",
        command=mobinet("serve", "--when-input-ends", "--workers", str(workers)),
        url=url,
        answers_at=f"{url}/readyz",
    )
    needed = {"MOBINET_PORT": settings.port}
    with_sandbox = settings.env == "development" and settings.uses_sandbox
    return Plan(
        first=(sandbox,) if with_sandbox else (),
        prepare=partial(_migrate, settings.data_dir / "logs"),
        then=(api, Part(name="worker", command=mobinet("work", "--when-input-ends"))),
        ports=needed | ({"MOBINET_SANDBOX_PORT": settings.sandbox_port} if with_sandbox else {}),
    )


async def _migrate(logs: Path, url: str) -> None:
    """Here rather than as a part: a process of its own would make each start a second slower."""
    from db.migrate import MigrationFailed, NotReady, migrate

    try:
        with (logs / "migrate.log").open("a") as log, contextlib.redirect_stdout(log):
            await migrate(url)
    except NotReady as error:
        raise CannotRun(f"{error}") from error
    except (MigrationFailed, OSError) as error:
        raise CannotRun(f"The database could not be migrated: {error}") from error
