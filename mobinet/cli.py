"""The commands of the program `mobinet`; each imports what it needs only when it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from domain.methods import GatewayName
from integrations.embedded import EmbeddedError, servers
from mobinet.settings import Settings, SettingsError, load

app = typer.Typer(
    name="mobinet",
    help="Payment collection. `mobinet run` starts everything; other commands run a part of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(no_args_is_help=True, help="The keys that sign.")
app.add_typer(keys, name="keys")
Workers = Annotated[int, typer.Option(min=1, help="How many processes serve.")]
WhenInputEnds = Annotated[bool, typer.Option("--when-input-ends", hidden=True)]
"""Load first, and start when standard input ends: then the supervisor has migrated the database."""


def main() -> None:
    try:
        app()
    except (SettingsError, EmbeddedError) as error:
        sys.exit(f"{error}")


@app.command()
def run(workers: Workers = 1) -> None:
    """Start everything: servers, sandbox, migrations, API and worker. Ctrl-C stops it."""
    from mobinet import run
    from mobinet.services import CannotRun, start_plan

    settings = load()
    try:
        run.run(settings, start_plan(settings, workers))
    except CannotRun as error:
        sys.exit(f"{error}")


@app.command()
def serve(workers: Workers = 1, when_input_ends: WhenInputEnds = False) -> None:
    """Serve the API."""
    with _servers() as settings:
        from mobinet import serve

        if when_input_ends:
            sys.stdin.read()
        _check_database(settings)
        serve.run(settings, workers)


@app.command()
def work(when_input_ends: WhenInputEnds = False) -> None:
    """Run a worker: jobs, inquiries, expiry, sealing. Any number may run."""
    import uvloop

    from mobinet.worker import main

    with _servers() as settings:
        if when_input_ends:
            sys.stdin.read()
        _check_database(settings)
        uvloop.run(main(settings))


@app.command()
def sandbox() -> None:
    """Serve stand-ins for every outer system, with faults on demand."""
    # A process of its own: the sandbox shares no code with the program.
    os.execv(sys.executable, [sys.executable, "-m", "sandbox"])  # noqa: S606


@app.command()
def migrate() -> None:
    """Migrate the database to this version. One process at a time; the others wait."""
    from db.migrate import MigrationFailed, NotReady, migrate

    with _servers(redis=False) as settings:
        url = settings.database_owner_url or settings.database_url
        assert url is not None
        try:
            asyncio.run(migrate(url.get_secret_value()))
        except MigrationFailed as error:
            sys.exit(f"The database is as it was: {error}")
        except NotReady as error:
            sys.exit(f"{error}")


@app.command()
def verify(
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    signatures: Annotated[
        bool, typer.Option("--signatures", help="The signature of every payment record, too.")
    ] = False,
) -> None:
    """Check the money and the audit log, and print the rows that violate an invariant."""
    from db.invariants.checks import ChecksIncomplete
    from mobinet.verify import verify

    with _servers(redis=False) as settings:
        _check_database(settings)
        work = verify(settings, signatures=signatures, as_json=json, write_line=typer.echo)
        try:
            holds = asyncio.run(work)
        except (ChecksIncomplete, OSError) as error:
            sys.exit(f"Not everything was checked ({error}): see `mobinet doctor`.")
    raise typer.Exit(0 if holds else 1)


@keys.command()
def rotate() -> None:
    """Put a new signing key of each kind first; the old ones still verify."""
    from mobinet import logging as logs
    from mobinet.key_rotation import CannotRotate, rotate

    with _servers() as settings:
        _check_database(settings)  # the rotation must be audited
        logs.configure(settings.env)
        try:
            asyncio.run(rotate(settings, print))
        except CannotRotate as error:
            sys.exit(f"{error}")


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from schema.root import sdl

    print(sdl(), end="")


@app.command()
def settle(
    gateway: Annotated[str, typer.Argument(help=", ".join(GatewayName).lower() + ".")],
    file: Annotated[
        Path, typer.Argument(help="CSV, as the gateway wrote it.", exists=True, dir_okay=False)
    ],
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day that it covers even without a line of it."),
    ] = None,
) -> None:
    """Import a settlement file as a whole; one that cannot be read changes nothing."""
    from integrations.settlement import BadFile
    from mobinet.settle import format_summary, settle

    gateways = {name.lower(): name for name in GatewayName}
    if gateway not in gateways:
        sys.exit(f"There is no gateway {gateway}: {', '.join(gateways)}.")
    with _servers() as settings:
        _check_database(settings)
        try:
            work = settle(settings, gateways[gateway], file, date and date.date())
            summary = asyncio.run(work)
        except BadFile as error:
            sys.exit(f"{file.name}: {error}. Nothing was imported.")
        except OSError as error:
            sys.exit(f"{error}. Nothing was imported; see `mobinet doctor`.")
    print(format_summary(summary))


@app.command()
def doctor() -> None:
    """Check the settings, the database and every address; print a remedy for each problem."""
    from mobinet.doctor import examine

    with _servers() as settings:
        checks = asyncio.run(examine(settings))
    for check in checks:
        typer.echo(check)
    failed = sum(not check.ok for check in checks)
    if failed:
        print(f"\n{'One thing is' if failed == 1 else f'{failed} things are'} wrong.")
    else:
        print("\nAll is well.")
    raise typer.Exit(1 if failed else 0)


@contextlib.contextmanager
def _servers(*, redis: bool = True) -> Generator[Settings]:
    """
    Yield settings that name a database and a Redis; run embedded servers where one is unset.

    With *redis* false a database is enough.
    """
    settings = load()
    if settings.database_url is not None and (settings.redis_url is not None or not redis):
        yield settings
        return
    with servers(settings.data_dir) as running:
        # Set in the environment, which uvicorn's processes read too.
        if settings.database_url is None:
            os.environ["MOBINET_DATABASE_URL"] = running.postgres_url
        if settings.redis_url is None:
            os.environ["MOBINET_REDIS_URL"] = running.valkey_url
        yield load()


def _check_database(settings: Settings) -> None:
    """Exit with one sentence if the database does not answer or is not migrated."""
    from db.migrate import NotReady, check

    assert settings.database_url is not None
    try:
        asyncio.run(check(settings.database_url.get_secret_value()))
    except NotReady as error:
        sys.exit(f"{error}")
