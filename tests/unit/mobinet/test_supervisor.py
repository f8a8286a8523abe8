"""The supervisor keeps the parts running until it is told to stop, and leaves nothing behind however it ends."""

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

# Runs the supervisor with parts that are small programs: their names, and what each does.
SUPERVISOR = """
import json, sys
from mobinet.settings import load
from mobinet.parts import CannotRun, Part, Plan
from mobinet.run import run

spec = json.loads(sys.argv[1])
def part(name):
    url = spec["urls"].get(name)
    waits = "" if name in spec["first"] else "import sys; sys.stdin.read()\\n"
    return Part(name=name, command=(sys.executable, "-c", waits + spec["parts"][name]), url=url, answers_at=url)
async def prepare(database):
    if spec["refusal"]:
        raise CannotRun(spec["refusal"])
try:
    run(load(), Plan(
        first=[part(name) for name in spec["first"]],
        prepare=prepare,
        then=[part(name) for name in spec["parts"] if name not in spec["first"]],
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
# Tells in a file when it was told to stop, and finishes half a second of work.
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
        """run.json, once it is there, or once it says something else."""
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
        parts: dict[str, str],
        *,
        first: tuple[str, ...] = (),
        urls: dict[str, str] | None = None,
        refusal: str = "",
        ports: dict[str, int] | None = None,
        embedded: bool = False,
    ) -> Run:
        spec = {
            "parts": parts,
            "first": first,
            "urls": urls or {},
            "refusal": refusal,
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
def ends(*pids: int, within: float = 30.0) -> Iterator[None]:
    handles = [os.pidfd_open(pid) for pid in pids]
    yield
    deadline = time.monotonic() + within
    for handle in handles:
        with open(handle) as watched:
            assert select.select([watched], [], [], max(0, deadline - time.monotonic()))[0], (
                "it lives on"
            )


def test_run_json_tells_every_part_once_all_answer_and_is_gone_after(start, port):
    url = f"http://127.0.0.1:{port}"
    run = start({"api": SERVES.format(port=port), "worker": WAITS}, urls={"api": url})
    facts = run.facts()
    assert facts["api"]["url"] == url
    assert set(facts["worker"]) == {"pid"}
    with ends(facts["api"]["pid"], facts["worker"]["pid"]):
        said = run.stop()
    assert "Mobinet is up." in said
    assert url in said
    assert run.process.returncode == 0
    assert not (run.data_dir / "run.json").exists()


def test_a_part_that_is_killed_is_started_again_and_its_new_pid_told(start):
    run = start({"worker": WAITS})
    before = run.facts()
    os.kill(before["worker"]["pid"], signal.SIGKILL)
    after = run.facts(differing_from=before)
    assert after["worker"]["pid"] != before["worker"]["pid"]
    assert "worker │ ended (killed by SIGKILL)" in run.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_in_flight_is_finished_and_those_who_serve_others_end_last(start, tmp_path, number):
    file = str(tmp_path / "ended")
    parts = {name: FINISHES.format(file=file, name=name) for name in ("sandbox", "api")}
    run = start(parts, first=("sandbox",))
    run.facts()
    deadline = time.monotonic() + 30
    while not all((tmp_path / "logs" / f"{name}.log").exists() for name in parts):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.stop(number)
    assert Path(file).read_text().split() == ["api", "sandbox"]


def test_no_part_outlives_a_supervisor_that_is_killed(start):
    run = start({"api": WAITS, "worker": WAITS})
    pids = [part["pid"] for part in run.facts().values()]
    with ends(*pids):
        run.process.kill()


def test_embedded_servers_go_with_a_supervisor_that_is_killed(start):
    run = start({"worker": WAITS}, embedded=True)
    facts = run.facts()
    assert facts["postgres"]["url"].startswith("postgresql://")
    assert facts["valkey"]["url"].startswith("unix://")
    with ends(*(part["pid"] for part in facts.values())):
        run.process.kill()


def test_an_embedded_server_that_is_killed_is_started_again_and_told(start):
    run = start({"worker": WAITS}, embedded=True)
    before = run.facts()
    os.kill(before["postgres"]["pid"], signal.SIGKILL)
    after = run.facts(differing_from=before)
    assert after["postgres"]["pid"] != before["postgres"]["pid"]
    assert after["postgres"]["url"] == before["postgres"]["url"]


def test_a_second_supervisor_of_the_same_data_is_refused(start):
    first = start({"worker": WAITS})
    first.facts()
    second = start({"worker": WAITS})
    _, said = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert f"already runs with {first.data_dir}, as process {first.process.pid}" in said
    assert (first.data_dir / "run.json").exists()


def test_a_port_that_is_taken_is_named_with_its_holder_and_its_setting(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = start({"worker": WAITS}, ports={"MOBINET_PORT": port})
        _, said = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert f"Port {port} is taken" in said
    assert f"process {os.getpid()}" in said
    assert "set MOBINET_PORT to another" in said


def test_what_prevents_a_start_is_said_and_nothing_has_worked_by_then(start):
    run = start(
        {"sandbox": WAITS, "worker": WAITS},
        first=("sandbox",),
        refusal="The database could not be migrated.",
    )
    _, said = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert said == "The database could not be migrated.\n"
    assert not (run.data_dir / "logs" / "worker.log").exists(), (
        "it worked, although it should have waited"
    )


def test_what_goes_wrong_in_a_part_is_seen_and_the_rest_is_in_its_log(start):
    run = start(
        {
            "worker": "print('all is calm'); print('ERROR: no route', flush=True); import signal; signal.pause()"
        }
    )
    run.facts()
    log = run.data_dir / "logs" / "worker.log"
    deadline = time.monotonic() + 30
    while not log.exists() or "no route" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    said = run.stop()
    assert "worker │ ERROR: no route" in said
    assert "all is calm" not in said
    assert "all is calm" in log.read_text()
