"""The source trees: this one, and the pinned commit in a worktree with its own environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.stack import Source

COMMIT = "14d14ad"
ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".data" / "bench"


class PinnedUnavailable(Exception):
    """The pinned commit cannot be measured here; the text says why."""


def ours(python: Path) -> Source:
    """Return this source tree, run by the environment of *python*."""
    return Source(name="ours", root=ROOT, python=python)


def pinned() -> Source:
    """Return the pinned commit's tree, created and installed once. Raises PinnedUnavailable."""
    root = CACHE / "pinned"
    python = root / ".venv" / "bin" / "python"
    if not _is_checked_out(root):
        _check_out(root)
    # The MAKE variables of this run must not reach the other tree's make.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(
        [_program("make"), ".venv/.installed"],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise PinnedUnavailable(f"the environment cannot be installed: {_last_line(made.stderr)}")
    return Source(name="pinned", root=root, python=python)


def _is_checked_out(root: Path) -> bool:
    if not (root / "Makefile").exists():
        return False
    head = _git("rev-parse", "HEAD", cwd=root)
    return head.returncode == 0 and head.stdout.startswith(COMMIT)


def _check_out(root: Path) -> None:
    if _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode:
        raise PinnedUnavailable(f"commit {COMMIT} is not in this clone: fetch the full history")
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    added = _git("worktree", "add", "--force", "--detach", str(root), COMMIT)
    if added.returncode:
        raise PinnedUnavailable(f"the worktree cannot be created: {_last_line(added.stderr)}")


def _git(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_program("git"), *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def _program(name: str) -> str:
    if (found := shutil.which(name)) is None:
        raise PinnedUnavailable(f"{name} is not installed")
    return found


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
