"""The published and computed examples that the adapters of gateways are held to."""

from __future__ import annotations

import json
from typing import Any

from tests.support import ROOT

VECTORS: dict[str, Any] = json.loads(
    (ROOT / "tests" / "unit" / "integrations" / "vectors.json").read_text()
)
MOMO_RESULT_CODES = [int(code) for code in VECTORS["momo_result_codes"]]
