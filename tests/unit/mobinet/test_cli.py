"""A command that cannot work ends with one sentence for the operator, which names the remedy."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from mobinet.cli import app

UNREACHABLE = "postgresql://nobody:hidden@127.0.0.1:1/nowhere"
COMMANDS = [["serve"], ["work"], ["verify"], ["settle", "vnpay", __file__]]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])


def mobinet(*arguments: str, **settings: str) -> Result:
    env: dict[str, str | None] = dict.fromkeys(
        name for name in os.environ if name.startswith("MOBINET_")
    )
    env |= {f"MOBINET_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(app, arguments, env=env)


def refusal(folder: Path, *arguments: str, database: str) -> str:
    """Return the one line that the command printed as it failed."""
    settings = {
        "DATA_DIR": str(folder),
        "DATABASE_URL": database,
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    done = mobinet(*arguments, **settings)
    assert done.exit_code == 1
    [line] = done.output.splitlines()
    assert "hidden" not in line
    return line


@pytest.mark.parametrize("command", [*COMMANDS, ["migrate"]], ids=lambda command: command[0])
def test_a_database_that_does_not_answer_is_reported_in_one_line(
    command: list[str], tmp_path: Path
) -> None:
    line = refusal(tmp_path, *command, database=UNREACHABLE)
    assert line.startswith("The database cannot be used (")
    assert "`mobinet doctor`" in line


@each_command
def test_a_database_that_was_not_migrated_is_reported_in_one_line(
    command: list[str], tmp_path: Path, empty_database: str
) -> None:
    line = refusal(tmp_path, *command, database=empty_database)
    assert line.startswith("The database lacks")
    assert "`mobinet migrate`" in line


def test_a_missing_database_is_named(tmp_path: Path, database_url: str) -> None:
    missing = urlsplit(database_url)._replace(path="/mobinet_nowhere").geturl()
    for command in ("migrate", "verify"):
        assert 'database "mobinet_nowhere" does not exist' in refusal(
            tmp_path, command, database=missing
        )


def test_the_doctor_writes_no_colours_into_a_pipe(tmp_path: Path) -> None:
    done = mobinet(
        "doctor", DATA_DIR=str(tmp_path), DATABASE_URL=UNREACHABLE, REDIS_URL="redis://127.0.0.1:1"
    )
    assert done.exit_code == 1
    assert "BAD  PostgreSQL    postgresql://nobody:…@127.0.0.1:1/nowhere" in done.output
    assert "\033" not in done.output


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_a_command_that_needs_only_a_database_starts_no_embedded_server(
    command: str, tmp_path: Path, fresh_database: str
) -> None:
    done = mobinet(command, DATA_DIR=str(tmp_path), DATABASE_URL=fresh_database)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "embedded").exists()
