"""The services that `mobinet run` starts, and their order."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mobinet.settings import Settings


class CannotRun(Exception):
    """The system cannot start; the text gives the reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that the supervisor keeps running."""

    name: str
    command: Sequence[str]
    url: str | None = None
    ready_url: str | None = None
    """Answers 200 once the service is ready; None: it is ready as soon as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPlan:
    """
    Everything that the supervisor starts; it stops the applications first.

    All services start at once, because loading takes longest.
    """

    dependencies: Sequence[Service]
    """Services that the applications call; they stop last."""
    prepare_database: Callable[[str], Awaitable[None]]
    """Migrates the database at a URL before an application uses it."""
    applications: Sequence[Service]
    """Each loads, and then waits until its standard input ends."""
    ports: dict[str, int] = field(default_factory=dict[str, int])
    """The ports that must be free, by the setting that chooses each."""

    @property
    def services(self) -> Sequence[Service]:
        return (*self.dependencies, *self.applications)


def start_plan(settings: Settings, workers: int = 1) -> StartPlan:
    def mobinet(*arguments: str) -> Sequence[str]:
        return (sys.executable, "-m", "mobinet", *arguments)

    sandbox = Service(
        name="sandbox",
        command=(sys.executable, "-m", "sandbox"),
        url=settings.sandbox_url,
        ready_url=f"{settings.sandbox_url}/healthz",
    )
    url = f"http://127.0.0.1:{settings.port}"
    api = Service(
        name="api",
        command=mobinet("serve", "--when-input-ends", "--workers", str(workers)),
        url=url,
        ready_url=f"{url}/readyz",
    )
    worker = Service(name="worker", command=mobinet("work", "--when-input-ends"))
    ports = {"MOBINET_PORT": settings.port}
    with_sandbox = settings.env == "development" and settings.uses_sandbox
    if with_sandbox:
        ports["MOBINET_SANDBOX_PORT"] = settings.sandbox_port
    return StartPlan(
        dependencies=(sandbox,) if with_sandbox else (),
        prepare_database=partial(_migrate, settings.data_dir / "logs"),
        applications=(api, worker),
        ports=ports,
    )


async def _migrate(logs: Path, url: str) -> None:
    """Migrate in this process; a process of its own would delay each start by a second."""
    from db.migrate import MigrationFailed, NotReady, migrate

    try:
        with (logs / "migrate.log").open("a") as log, contextlib.redirect_stdout(log):
            await migrate(url)
    except NotReady as error:
        raise CannotRun(f"{error}") from error
    except (MigrationFailed, OSError) as error:
        raise CannotRun(f"The database could not be migrated: {error}") from error
