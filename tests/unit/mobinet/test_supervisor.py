"""The supervisor keeps the services running until a signal, and never leaves a process behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

# Runs the supervisor with small programs as services.
SUPERVISOR = """
import json, sys
from mobinet.settings import load
from mobinet.services import CannotRun, Service, StartPlan
from mobinet.run import run

spec = json.loads(sys.argv[1])
programs, dependencies = spec["programs"], spec["dependencies"]
def service(name):
    url = spec["urls"].get(name)
    wait = "" if name in dependencies else "import sys; sys.stdin.read()\\n"
    command = (sys.executable, "-c", wait + programs[name])
    return Service(name=name, command=command, url=url, ready_url=url)
async def prepare_database(database):
    if spec["start_error"]:
        raise CannotRun(spec["start_error"])
try:
    run(load(), StartPlan(
        dependencies=[service(name) for name in dependencies],
        prepare_database=prepare_database,
        applications=[service(name) for name in programs if name not in dependencies],
        ports=spec["ports"],
    ))
except CannotRun as error:
    sys.exit(str(error))
"""
SERVES = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""
WAITS = "import signal; print('waiting', flush=True); signal.pause()"
# At SIGTERM works for half a second more, and then writes its name into a file.
FINISHES = """
import signal, sys, time
def finish(*_):
    time.sleep(0.5)
    open({file!r}, "a").write({name!r} + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
print("ready", flush=True)
while True: signal.pause()
"""


class Run:
    def __init__(self, process: subprocess.Popen[str], data_dir: Path) -> None:
        self.process = process
        self.data_dir = data_dir

    def facts(self, differing_from: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the content of run.json, once it exists and differs."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                facts = json.loads((self.data_dir / "run.json").read_text())
                if facts != differing_from:
                    return facts
            time.sleep(0.02)
        raise AssertionError(
            f"no run.json: {self.process.poll()} {self.process.communicate(timeout=5)}"
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return out + err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[subprocess.Popen[str]] = []

    def start(
        programs: dict[str, str],
        *,
        dependencies: tuple[str, ...] = (),
        urls: dict[str, str] | None = None,
        start_error: str = "",
        ports: dict[str, int] | None = None,
        embedded: bool = False,
    ) -> Run:
        spec = {
            "programs": programs,
            "dependencies": dependencies,
            "urls": urls or {},
            "start_error": start_error,
            "ports": ports or {},
        }
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")
        }
        environment |= {"PYTHONPATH": str(ROOT), "MOBINET_DATA_DIR": str(tmp_path)}
        if not embedded:
            environment |= {
                "MOBINET_DATABASE_URL": "postgresql://a/b",
                "MOBINET_REDIS_URL": "redis://a",
            }
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, json.dumps(spec)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return Run(process, tmp_path)

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=40)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def expect_end(*pids: int, within: float = 30.0) -> Iterator[None]:
    """Fail unless the processes end soon after the block."""
    handles = [os.pidfd_open(pid) for pid in pids]
    yield
    deadline = time.monotonic() + within
    for handle in handles:
        with open(handle) as watched:
            assert select.select([watched], [], [], max(0, deadline - time.monotonic()))[0], (
                "the process still runs"
            )


def test_run_json_lists_every_service_once_all_are_ready_and_is_removed_at_the_end(start, port):
    url = f"http://127.0.0.1:{port}"
    run = start({"api": SERVES.format(port=port), "worker": WAITS}, urls={"api": url})
    facts = run.facts()
    assert facts["api"]["url"] == url
    assert set(facts["worker"]) == {"pid"}
    with expect_end(facts["api"]["pid"], facts["worker"]["pid"]):
        output = run.stop()
    assert "Mobinet is up." in output
    assert url in output
    assert run.process.returncode == 0
    assert not (run.data_dir / "run.json").exists()


def test_a_killed_service_is_restarted_and_run_json_has_its_new_pid(start):
    run = start({"worker": WAITS})
    before = run.facts()
    os.kill(before["worker"]["pid"], signal.SIGKILL)
    after = run.facts(differing_from=before)
    assert after["worker"]["pid"] != before["worker"]["pid"]
    assert "worker │ ended (killed by SIGKILL)" in run.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_in_flight_is_finished_and_dependencies_end_last(start, tmp_path, number):
    file = str(tmp_path / "ended")
    programs = {name: FINISHES.format(file=file, name=name) for name in ("sandbox", "api")}
    run = start(programs, dependencies=("sandbox",))
    run.facts()
    deadline = time.monotonic() + 30
    while not all((tmp_path / "logs" / f"{name}.log").exists() for name in programs):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.stop(number)
    assert Path(file).read_text().split() == ["api", "sandbox"]


def test_no_service_outlives_a_killed_supervisor(start):
    run = start({"api": WAITS, "worker": WAITS})
    pids = [service["pid"] for service in run.facts().values()]
    with expect_end(*pids):
        run.process.kill()


def test_embedded_servers_end_with_a_killed_supervisor(start):
    run = start({"worker": WAITS}, embedded=True)
    facts = run.facts()
    assert facts["postgres"]["url"].startswith("postgresql://")
    assert facts["valkey"]["url"].startswith("unix://")
    with expect_end(*(service["pid"] for service in facts.values())):
        run.process.kill()


def test_a_killed_embedded_server_is_restarted_and_run_json_has_its_new_pid(start):
    run = start({"worker": WAITS}, embedded=True)
    before = run.facts()
    os.kill(before["postgres"]["pid"], signal.SIGKILL)
    after = run.facts(differing_from=before)
    assert after["postgres"]["pid"] != before["postgres"]["pid"]
    assert after["postgres"]["url"] == before["postgres"]["url"]


def test_a_second_supervisor_of_the_same_data_directory_is_refused(start):
    first = start({"worker": WAITS})
    first.facts()
    second = start({"worker": WAITS})
    _, error = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert f"already runs with {first.data_dir}, as process {first.process.pid}" in error
    assert (first.data_dir / "run.json").exists()


def test_a_taken_port_is_named_with_its_holder_and_its_setting(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start({"worker": WAITS}, ports={"MOBINET_PORT": port})
        _, error = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert f"Port {port} is taken" in error
    assert f"process {os.getpid()}" in error
    assert "set MOBINET_PORT to another" in error


def test_a_start_error_is_printed_and_no_application_has_worked(start):
    run = start(
        {"sandbox": WAITS, "worker": WAITS},
        dependencies=("sandbox",),
        start_error="The database could not be migrated.",
    )
    _, error = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert error == "The database could not be migrated.\n"
    assert not (run.data_dir / "logs" / "worker.log").exists(), "the worker did not wait"


def test_a_problem_of_a_service_is_printed_and_other_output_is_only_in_its_log(start):
    program = "print('all is calm'); print('ERROR: no route', flush=True)"
    run = start({"worker": f"{program}; import signal; signal.pause()"})
    run.facts()
    log = run.data_dir / "logs" / "worker.log"
    deadline = time.monotonic() + 30
    while not log.exists() or "no route" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    output = run.stop()
    assert "worker │ ERROR: no route" in output
    assert "all is calm" not in output
    assert "all is calm" in log.read_text()
