"""The program `mobinet`: each command in a few lines, and what it needs imported only when it runs."""

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from integrations.embedded import EmbeddedError, die_with_parent, servers
from mobinet.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from starlette.applications import Starlette

app = typer.Typer(
    name="mobinet",
    help="Payment collection. `mobinet run` starts all of it; the other commands are its parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
keys = typer.Typer(no_args_is_help=True, help="The keys that sign.")
app.add_typer(keys, name="keys")
Workers = Annotated[int, typer.Option(min=1, help="How many processes serve.")]
WhenInputEnds = Annotated[bool, typer.Option("--when-input-ends", hidden=True)]
"""Load everything, then wait for whoever started us to say that the database is ready."""


def main() -> None:
    try:
        app()
    except (SettingsError, EmbeddedError) as error:
        sys.exit(f"{error}")


@app.command()
def run(workers: Workers = 1) -> None:
    """Everything at once: servers, sandbox, migrations, API and worker, until Ctrl-C."""
    from mobinet import run
    from mobinet.parts import CannotRun, plan

    settings = load()
    try:
        run.run(settings, plan(settings, workers))
    except CannotRun as error:
        sys.exit(f"{error}")


@app.command()
def serve(workers: Workers = 1, when_input_ends: WhenInputEnds = False) -> None:
    """The API."""
    import uvicorn

    with _servers() as settings:
        if when_input_ends:
            if workers == 1:
                importlib.import_module("mobinet.serve")
            sys.stdin.read()
        _check_database(settings)
        uvicorn.run(
            "mobinet.serve:create_app" if workers == 1 else "mobinet.cli:application_of_a_worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=workers,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=256 * 1024,
            access_log=False,
            timeout_graceful_shutdown=25,
            # A worker that still imports answers no ping: on a busy machine five seconds kill it, again and again.
            timeout_worker_healthcheck=30,
        )


@app.command()
def work(when_input_ends: WhenInputEnds = False) -> None:
    """The worker: jobs, inquiries, expiry, sealing. Run as many as you want."""
    from mobinet.worker import main

    with _servers() as settings:
        if when_input_ends:
            sys.stdin.read()
        _check_database(settings)
        asyncio.run(main(settings))


@app.command()
def sandbox() -> None:
    """Stand-ins for every outer system, with faults to order."""
    # Not imported: it spells their protocols a second time, so it shares no code with us.
    os.execv(sys.executable, [sys.executable, "-m", "sandbox"])  # noqa: S606


@app.command()
def migrate() -> None:
    """Brings the database to this version. One process at a time; the others wait."""
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
    """Proves the money and the audit chain; names the rows where something does not hold."""
    from db.invariants.checks import Unanswered
    from mobinet.verify import verify

    with _servers(redis=False) as settings:
        _check_database(settings)
        proving = verify(settings, signatures=signatures, as_json=json, say=typer.echo)
        try:
            holds = asyncio.run(proving)
        except (Unanswered, OSError) as error:
            sys.exit(f"Not everything was checked ({error}): see `mobinet doctor`.")
    raise typer.Exit(0 if holds else 1)


@keys.command()
def rotate() -> None:
    """A new signing key of each kind; the old ones stay valid for verification."""
    from mobinet import logging as logs
    from mobinet.key_rotation import CannotRotate, rotate

    with _servers() as settings:
        _check_database(settings)  # where it can't be written down, no key is changed
        logs.configure(settings.env)
        try:
            asyncio.run(rotate(settings, print))
        except CannotRotate as error:
            sys.exit(f"{error}")


@app.command()
def schema() -> None:
    """Prints the SDL."""
    from schema.root import sdl

    print(sdl(), end="")


@app.command()
def settle(
    gateway: Annotated[str, typer.Argument(help="vnpay, fpt_pay, bank, momo, stripe or paypal.")],
    file: Annotated[
        Path, typer.Argument(help="CSV, as the gateway wrote it.", exists=True, dir_okay=False)
    ],
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day that it covers even without a line of it."),
    ] = None,
) -> None:
    """Imports a settlement file: all of it or, where it cannot be read, nothing."""
    from domain.methods import GatewayName
    from integrations.settlement import BadFile
    from mobinet.settle import settle, told

    known = {item.lower(): item for item in GatewayName}
    if gateway not in known:
        sys.exit(f"There is no gateway {gateway}: {', '.join(known)}.")
    with _servers() as settings:
        _check_database(settings)
        try:
            done = asyncio.run(settle(settings, known[gateway], file, date and date.date()))
        except BadFile as error:
            sys.exit(f"{file.name}: {error}. Nothing was imported.")
        except OSError as error:
            sys.exit(f"{error}. Nothing was imported; see `mobinet doctor`.")
    print(told(done))


@app.command()
def doctor() -> None:
    """What is configured, reachable and migrated, what is not, and how to mend it."""
    from mobinet.doctor import examine

    with _servers() as settings:
        findings = asyncio.run(examine(settings))
    for finding in findings:
        typer.echo(finding)
    ill = sum(not finding.well for finding in findings)
    print(
        f"\n{'One thing is' if ill == 1 else f'{ill} things are'} wrong."
        if ill
        else "\nAll is well."
    )
    raise typer.Exit(1 if ill else 0)


def application_of_a_worker() -> "Starlette":
    """For `serve --workers`: uvicorn's processes would outlive a parent that is killed."""
    die_with_parent(signal.SIGTERM)
    from mobinet.serve import create_app

    return create_app()


@contextlib.contextmanager
def _servers(*, redis: bool = True) -> Generator[Settings]:
    """
    Settings that name a database and a Redis: those given, or the embedded ones, ours while this lasts.

    Without *redis* a database is enough.
    """
    settings = load()
    if settings.database_url is not None and (settings.redis_url is not None or not redis):
        yield settings
        return
    with servers(settings.data_dir) as running:
        # By environment, because uvicorn's processes read it too.
        if settings.database_url is None:
            os.environ["MOBINET_DATABASE_URL"] = running.postgres_url
        if settings.redis_url is None:
            os.environ["MOBINET_REDIS_URL"] = running.valkey_url
        yield load()


def _check_database(settings: Settings) -> None:
    """End here, in a sentence, where the database does not answer or is not migrated."""
    from db.migrate import NotReady, check

    assert settings.database_url is not None
    try:
        asyncio.run(check(settings.database_url.get_secret_value()))
    except NotReady as error:
        sys.exit(f"{error}")
