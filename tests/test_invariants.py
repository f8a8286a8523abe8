"""docs/invariants.md names every guard of money, and each of its sentences has a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from domain.invariants import InvariantName

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "invariants.md").read_text()
ROW = re.compile(r"^\| (\d+) \|.*\| (.*) \|$", re.MULTILINE)
GUARD = re.compile(
    r"create (?:or replace )?(?:constraint )?trigger (\w+)"
    r"|create unique index (\w+)"
    r"|add constraint (\w+)",
    re.IGNORECASE,
)


def numbers_in_page() -> list[int]:
    return [int(number) for number, _ in ROW.findall(PAGE)]


def named_guards() -> set[str]:
    return {name for _, guards in ROW.findall(PAGE) for name in re.findall(r"`([\w-]+)`", guards)}


def guards_in_sql() -> set[str]:
    texts = [path.read_text() for path in (ROOT / "db" / "migrations").iterdir() if path.is_file()]
    return {name for text in texts for match in GUARD.findall(text) for name in match if name}


def constraints_in_tables() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "db" / "tables").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and ast.unparse(node.value.func) in {"Check", "Unique"}
            ):
                names |= {ast.unparse(target) for target in node.targets}
    return names


def numbers_with_a_test() -> set[int]:
    """Return the numbers in every `@pytest.mark.invariant(…)` of the tests."""
    numbers: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.invariant":
                numbers |= {int(ast.literal_eval(argument)) for argument in node.args}
    return numbers


def test_the_sentences_are_numbered_without_a_gap() -> None:
    assert numbers_in_page() == list(range(1, len(numbers_in_page()) + 1))


def test_every_guard_in_the_database_stands_in_the_page() -> None:
    assert guards_in_sql() | constraints_in_tables() <= named_guards()


def test_every_check_of_verify_stands_in_the_page() -> None:
    assert {name.value for name in InvariantName} <= named_guards()


def test_the_page_names_no_guard_that_is_gone() -> None:
    known = guards_in_sql() | constraints_in_tables() | {name.value for name in InvariantName}
    assert named_guards() - known - {"mobinet_app"} == set()


def test_every_sentence_has_a_test() -> None:
    assert set(numbers_in_page()) == numbers_with_a_test()
