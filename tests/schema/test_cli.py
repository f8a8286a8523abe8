"""What whoever types a command reads when it cannot be done: one sentence, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
AWAY = "postgresql://nobody:hidden@127.0.0.1:1/nowhere"
COMMANDS = [["serve"], ["work"], ["verify"], ["settle", "vnpay", __file__]]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])


def mobinet(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}
    env |= {f"MOBINET_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "schema.cli", *words],
        capture_output=True,
        text=True,
        env=env | {"PYTHONPATH": str(ROOT)},
        cwd=settings["DATA_DIR"],
        timeout=60,
        check=False,
    )


def refused(folder: Path, *words: str, database: str) -> str:
    """Return the one line that the command said as it ended."""
    given = {"DATA_DIR": str(folder), "DATABASE_URL": database, "REDIS_URL": "redis://127.0.0.1:1"}
    done = mobinet(*words, **given)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
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
    assert done.returncode == 1
    assert "BAD  PostgreSQL    postgresql://nobody:…@127.0.0.1:1/nowhere" in done.stdout
    assert "\033" not in done.stdout
