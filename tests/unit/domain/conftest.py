"""The Hypothesis profile: few examples, and the same ones in CI."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("backend", max_examples=30, derandomize="CI" in os.environ, deadline=None)
settings.load_profile("backend")
