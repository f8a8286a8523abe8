"""Run the program `mobinet` as `python -m mobinet`."""

from __future__ import annotations

from mobinet.cli import main

main()
