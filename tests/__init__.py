"""The tests. Pytest explains failed assertions in shared helper modules too."""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"tests.{module.name}" for module in iter_modules(__path__)))
