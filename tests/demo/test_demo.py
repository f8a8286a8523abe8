"""`make demo` ends well only if all of it held, and leaves nothing behind either way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.stack.processes import CLEAN_ENVIRONMENT, ROOT

TELL = "import sys; from tests.demo import demo; {first}; sys.exit(demo.main())"


def told(folder: Path, first: str = "pass") -> tuple[int, str]:
    """Tell the demo, with its temporary files in *folder*, and return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", TELL.format(first=first)],
        cwd=ROOT,
        env=CLEAN_ENVIRONMENT | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert list(folder.glob("mobinet-demo-*")) == []
    return done.returncode, done.stdout + done.stderr


def test_the_whole_story_holds(tmp_path: Path) -> None:
    code, said = told(tmp_path)
    assert code == 0, said
    assert "✗" not in said
    assert "All of it held." in said


def test_a_step_that_does_not_hold_is_named_and_ends_it_badly(tmp_path: Path) -> None:
    code, said = told(tmp_path, "demo.is_genuine = lambda *_: True")
    assert code == 1
    assert "✗ failed at: The receipt of CASH can be checked by anyone" in said
    assert "a forged amount verifies as well" in said
    assert "All of it held" not in said
