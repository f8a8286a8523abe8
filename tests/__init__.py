"""The tests. What they share asserts too: pytest is to explain those failures as well."""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"tests.{one.name}" for one in iter_modules(__path__)))
