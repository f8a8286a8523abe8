"""Nothing is left out: each gateway shows each case or says why not, and each published example is a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import table

HERE = Path(__file__).parent
NEEDED = ("unit/integrations", "unit/sandbox", "api")


@pytest.fixture
def items(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """Every test that there is; all workers of a session collect all of them."""
    found = request.session.items
    chosen = request.config.option
    modules = {path for floor in NEEDED for path in (HERE / floor).rglob("test_*.py")}
    if chosen.keyword or chosen.markexpr or not modules <= {item.path for item in found}:
        pytest.skip("only a part of the tests was asked for")
    return found


def test_each_gateway_has_a_test_or_a_reason_for_each_case(items: list[pytest.Item]) -> None:
    assert table.complaints(items) == []


def test_the_makefile_names_only_tests_that_exist() -> None:
    words = (HERE.parent / "Makefile").read_text().split()
    named = {word for word in words if word.startswith("tests/") and not set(word) & set("$*")}
    assert named
    assert {name for name in named if not (HERE.parent / name).exists()} == set()


def test_a_cell_that_nobody_fills_is_noticed() -> None:
    missing = table.complaints([])
    cells = len(table.CASES) * len(table.GATEWAYS)
    assert len(missing) == cells - len(table.HOLES)


@pytest.mark.parametrize("file", ["unit/integrations/vectors", "unit/integrations/card_vectors", "unit/sandbox/vectors"])  # fmt: skip
def test_every_published_example_is_a_test_by_its_name(items: list[pytest.Item], file: str) -> None:
    folder = (HERE / file).parent
    here = [item.name for item in items if item.path.is_relative_to(folder)]
    names = {name[1] for name in map(re.compile(r"\[(.*)\]$").search, here) if name}
    assert {id for id, _ in examples(file)} - names == set()


def test_both_spellings_are_held_to_the_same_examples() -> None:
    ours = dict(examples("unit/integrations/vectors"))
    theirs = dict(examples("unit/sandbox/vectors"))
    assert ours.keys() >= theirs.keys()
    for id, vector in theirs.items():
        for part in ("canonical", "expected", "presented", "payload"):
            assert vector.get(part) == ours[id].get(part), id


def examples(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return found(json.loads((HERE / f"{file}.json").read_text()))


def found(told: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return whatever has an id, however deep it stands."""
    if isinstance(told, dict):
        if isinstance(told.get("id"), str):
            yield told["id"], told
        told = list(told.values())
    if isinstance(told, list):
        for item in told:
            yield from found(item)
