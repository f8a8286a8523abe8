"""`make demo` exits 0 only if every step succeeds, and always leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.stack.processes import CLEAN_ENVIRONMENT, ROOT

RUN_DEMO = "import sys; from tests.demo import demo; {first}; sys.exit(demo.main())"


def run_demo(folder: Path, first: str = "pass") -> tuple[int, str]:
    """Run the demo with its temporary files in *folder*; return its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_DEMO.format(first=first)],
        cwd=ROOT,
        env=CLEAN_ENVIRONMENT | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert list(folder.glob("mobinet-demo-*")) == []
    return done.returncode, done.stdout + done.stderr


def test_every_step_of_the_demo_succeeds(tmp_path: Path) -> None:
    code, output = run_demo(tmp_path)
    assert code == 0, output
    assert "✗" not in output
    assert "All of it held." in output


def test_a_step_that_fails_is_named_and_fails_the_demo(tmp_path: Path) -> None:
    code, output = run_demo(tmp_path, "demo.is_genuine = lambda *_: True")
    assert code == 1
    assert "✗ failed at: The receipt of CASH can be checked by anyone" in output
    assert "a forged amount verifies as well" in output
    assert "All of it held" not in output
