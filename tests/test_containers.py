"""The containers run the same commands as `make run`, know when they are ready, and hold no secret."""

from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from mobinet.cli import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mobinet"}


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_of_the_programs(name):
    program, command = OURS[name]["command"].split()
    assert program == "mobinet"
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("migrate", "worker")])
def test_whatever_answers_has_a_health_check(name):
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_whoever_is_waited_for_is_there_and_can_become_so(name):
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert other == "migrate"


def test_there_are_no_secrets_to_leak():
    assert not any(word in TEXT.upper() for word in ("PASSWORD", "SECRET:", "API_KEY", "SIGNING"))


def test_the_image_installs_only_files_known_by_their_hash_and_is_not_run_by_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert all(
        "--require-hashes" in line for line in lines if "pip install" in line and ".lock" in line
    )
    assert any(line.startswith("USER ") and "root" not in line for line in lines)
