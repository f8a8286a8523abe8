"""The tests. What they share asserts too: pytest is to explain those failures as well."""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(
    *(f"tests.{iter_module.name}" for iter_module in iter_modules(__path__))
)
