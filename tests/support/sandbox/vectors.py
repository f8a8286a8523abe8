"""The published and computed examples that the sandbox is held to."""

from __future__ import annotations

import json
from typing import Any

from tests.support import ROOT

VECTORS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "unit" / "sandbox" / "vectors.json").read_text(encoding="utf-8")
)
