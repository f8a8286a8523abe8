"""What several test modules share. Pytest loads test modules alone, so nothing imports one."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
