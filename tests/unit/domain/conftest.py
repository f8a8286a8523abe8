"""Hypothesis: few examples, the same ones wherever CI runs."""

import os

from hypothesis import settings

settings.register_profile("backend", max_examples=30, derandomize="CI" in os.environ, deadline=None)
settings.load_profile("backend")
