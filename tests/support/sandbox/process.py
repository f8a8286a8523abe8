"""The sandbox in a process of its own, and its control commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.support import ROOT
from tests.support.ports import until

# VNPay's five minutes last a tenth of a second.
TIME_SCALE = "3000"


class Sandbox:
    """Controls what the outer systems do, and reads what they have recorded."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=httpx.Timeout(20)
        )

    def reset(self, *, data: bool = False) -> None:
        self.http.post("/_sandbox/reset", json={"data": data}).raise_for_status()

    def change_staff(self, staff_id: str, **change: Any) -> None:
        self._order("staff", {"staff_id": staff_id} | change)

    def change_contract(self, contract_number: str, status: str) -> None:
        self._order("contracts", {"contract_number": contract_number, "status": status})

    def pay(self, **act: Any) -> Any:
        return self._order("pay", act)

    @property
    def truth(self) -> Any:
        return self.http.get("/_sandbox/truth").json()

    def requests(self, system: str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
        query = {"since": since} | ({"system": system} if system else {})
        return self.http.get("/_sandbox/requests", params=query).json()["requests"]

    @property
    def last_request(self) -> int:
        return self.http.get("/_sandbox/requests").json()["last"]

    @contextmanager
    def broken(self, system: str, fault: str, **more: Any) -> Iterator[None]:
        """Order a fault of the system; end all faults afterwards."""
        self._order("faults", {"system": system, "fault": fault} | more)
        try:
            yield
        finally:
            self.reset()

    def _order(self, control: str, body: Any) -> Any:
        answer = self.http.post(f"/_sandbox/{control}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def sandbox(ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    env = _plain_environment() | {
        "MOBINET_PORT": str(ports[0]),
        "MOBINET_SANDBOX_PORT": str(ports[1]),
        "MOBINET_DATA_DIR": str(folder),
        "MOBINET_SANDBOX__TIME_SCALE": TIME_SCALE,
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox"], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    running = Sandbox(ports[1])
    try:
        until(lambda: _answers(running.http), why="the sandbox did not start")
        yield running
    finally:
        running.http.close()
        process.terminate()
        process.wait(10)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz").is_success
    except httpx.TransportError:
        return False


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}
