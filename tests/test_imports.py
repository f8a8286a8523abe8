"""Tests share code through tests/support, never through a test module."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)


def imported_names(node: ast.AST) -> set[str]:
    """Return the dotted names that an import statement may load, and none for other nodes."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()


def test_no_module_imports_a_test_module() -> None:
    paths = list(TESTS.rglob("*.py"))
    test_modules = {
        dotted_name(path)
        for path in paths
        if path.name.startswith("test_") or path.name == "conftest.py"
    }
    offenders = {
        f"{dotted_name(path)} imports {name}"
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported_names(node) & test_modules
    }
    assert offenders == set()
