"""The containers run the commands of `make run`, have health checks, and hold no secret."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
import yaml

from mobinet.cli import app
from tests.support import ROOT

COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE)["services"]
OUR_SERVICES = {
    name: service for name, service in SERVICES.items() if service["image"] == "mobinet"
}


@pytest.mark.parametrize("name", OUR_SERVICES)
def test_each_container_runs_a_command_of_mobinet(name: str) -> None:
    program, command = OUR_SERVICES[name]["command"].split()
    assert program == "mobinet"
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("migrate", "worker")])
def test_each_server_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_dependency_can_become_ready(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert other == "migrate"


def test_the_compose_file_holds_no_secret() -> None:
    assert not any(
        word in COMPOSE_FILE.upper() for word in ("PASSWORD", "SECRET:", "API_KEY", "SIGNING")
    )


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert all(
        "--require-hashes" in line for line in lines if "pip install" in line and ".lock" in line
    )
    assert any(line.startswith("USER ") and "root" not in line for line in lines)
