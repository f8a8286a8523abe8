"""`make picture`: runs the demo and draws its terminal into docs/demo.svg."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.support.stack.processes import ROOT

COLUMNS = 84
FONT = "ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace"
COLOURS = TerminalTheme(
    (30, 34, 40),
    (205, 209, 214),
    # black, red, green, yellow, blue, magenta, cyan, white; then their bright variants
    [(0, 0, 0), (224, 108, 117), (126, 192, 105), (229, 192, 96), *[(205, 209, 214)] * 4],
    [(92, 99, 112), (224, 108, 117), (126, 192, 105), (229, 192, 96), *[(255, 255, 255)] * 4],
)


def main() -> int:
    demo = subprocess.run(
        [sys.executable, "-m", "tests.demo.demo"],
        cwd=ROOT,
        env=os.environ | {"FORCE_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(demo.stdout, end="")
    if demo.returncode == 0:
        (ROOT / "docs" / "demo.svg").write_text(
            picture(f"\033[1m$ make demo\033[0m\n{demo.stdout}")
        )
    return demo.returncode


def picture(output: str) -> str:
    with open(os.devnull, "w") as nowhere:
        screen = Console(record=True, width=COLUMNS, file=nowhere)
        screen.print(Text.from_ansi(output))
    drawn = screen.export_svg(title="make demo", theme=COLOURS, unique_id="demo")
    # No font from another site; letters as high as a line, so that the rows of the QR touch.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", FONT).replace(
        "font-size: 20px", "font-size: 21px"
    )
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
