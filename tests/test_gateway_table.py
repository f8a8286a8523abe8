"""Each gateway has a test or a reason for each case, and each published example is a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import table

HERE = Path(__file__).parent
FOLDERS = ("unit/integrations", "unit/sandbox", "api")


@pytest.fixture
def items(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """Return every collected test; each worker of a session collects all of them."""
    collected = request.session.items
    chosen = request.config.option
    modules = {path for folder in FOLDERS for path in (HERE / folder).rglob("test_*.py")}
    if chosen.keyword or chosen.markexpr or not modules <= {item.path for item in collected}:
        pytest.skip("needs a run of all tests")
    return collected


def test_each_gateway_has_a_test_or_a_reason_for_each_case(items: list[pytest.Item]) -> None:
    assert table.complaints(items) == []


def test_the_makefile_names_only_tests_that_exist() -> None:
    words = (HERE.parent / "Makefile").read_text().split()
    named = {word for word in words if word.startswith("tests/") and not set(word) & set("$*")}
    assert named
    assert {name for name in named if not (HERE.parent / name).exists()} == set()


def test_a_cell_without_a_test_is_reported() -> None:
    missing = table.complaints([])
    cells = len(table.CASES) * len(table.GATEWAYS)
    assert len(missing) == cells - len(table.HOLES)


@pytest.mark.parametrize(
    "file", ["unit/integrations/vectors", "unit/integrations/card_vectors", "unit/sandbox/vectors"]
)
def test_every_published_example_is_a_test_by_its_name(items: list[pytest.Item], file: str) -> None:
    folder = (HERE / file).parent
    test_names = [item.name for item in items if item.path.is_relative_to(folder)]
    ids = {match[1] for match in map(re.compile(r"\[(.*)\]$").search, test_names) if match}
    assert {id for id, _ in examples(file)} - ids == set()


def test_the_product_and_the_sandbox_are_tested_with_the_same_examples() -> None:
    product = dict(examples("unit/integrations/vectors"))
    sandbox = dict(examples("unit/sandbox/vectors"))
    assert product.keys() >= sandbox.keys()
    for id, vector in sandbox.items():
        for part in ("canonical", "expected", "presented", "payload"):
            assert vector.get(part) == product[id].get(part), id


def examples(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return vectors_in(json.loads((HERE / f"{file}.json").read_text()))


def vectors_in(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object with an id, at any depth of *value*."""
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"], value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from vectors_in(item)
