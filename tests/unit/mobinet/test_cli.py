"""What whoever types a command reads when it cannot be done: one sentence, with what to do."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from mobinet.cli import app

AWAY = "postgresql://nobody:hidden@127.0.0.1:1/nowhere"
COMMANDS = [["serve"], ["work"], ["verify"], ["settle", "vnpay", __file__]]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])


def mobinet(*words: str, **settings: str) -> Result:
    env: dict[str, str | None] = dict.fromkeys(
        name for name in os.environ if name.startswith("MOBINET_")
    )
    env |= {f"MOBINET_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(app, words, env=env)


def refused(folder: Path, *words: str, database: str) -> str:
    """Return the one line that the command said as it ended."""
    given = {"DATA_DIR": str(folder), "DATABASE_URL": database, "REDIS_URL": "redis://127.0.0.1:1"}
    done = mobinet(*words, **given)
    assert done.exit_code == 1
    [line] = done.output.splitlines()
    assert "hidden" not in line
    return line


@pytest.mark.parametrize("command", [*COMMANDS, ["migrate"]], ids=lambda words: words[0])
def test_a_database_that_does_not_answer_is_said_in_a_line(
    command: list[str], tmp_path: Path
) -> None:
    line = refused(tmp_path, *command, database=AWAY)
    assert line.startswith("The database cannot be used (")
    assert "`mobinet doctor`" in line


@each_command
def test_a_database_that_was_not_migrated_is_said_in_a_line(
    command: list[str], tmp_path: Path, empty_database: str
) -> None:
    line = refused(tmp_path, *command, database=empty_database)
    assert line.startswith("The database lacks")
    assert "`mobinet migrate`" in line


def test_a_database_that_does_not_exist_is_named(tmp_path: Path, database_url: str) -> None:
    missing = urlsplit(database_url)._replace(path="/mobinet_nowhere").geturl()
    for command in ("migrate", "verify"):
        assert 'database "mobinet_nowhere" does not exist' in refused(
            tmp_path, command, database=missing
        )


def test_the_doctor_writes_no_colours_into_a_file(tmp_path: Path) -> None:
    done = mobinet(
        "doctor", DATA_DIR=str(tmp_path), DATABASE_URL=AWAY, REDIS_URL="redis://127.0.0.1:1"
    )
    assert done.exit_code == 1
    assert "BAD  PostgreSQL    postgresql://nobody:…@127.0.0.1:1/nowhere" in done.output
    assert "\033" not in done.output


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_what_only_needs_a_database_embeds_nothing_beside_one_that_is_given(
    command: str, tmp_path: Path, fresh_database: str
) -> None:
    done = mobinet(command, DATA_DIR=str(tmp_path), DATABASE_URL=fresh_database)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "embedded").exists()
