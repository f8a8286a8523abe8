"""The shape of the house: its floors, its names, and what no tool of ours checks."""

from __future__ import annotations

import ast
import html
import importlib
import io
import json
import logging
import re
import secrets
import subprocess
import tomllib
from contextlib import redirect_stdout
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import structlog

from domain.payments import LATE_SUCCESS_FROM, TRANSITIONS, PaymentStatus
from domain.refusals import RefusalCode
from mobinet import logging as logs
from schema.root import schema, sdl

ROOT = Path(__file__).parent.parent
FLOORS = ("mobinet", "schema", "resolvers", "integrations", "db", "domain")
BESIDE = ("sandbox", "tests")
MOST_LINES = 350


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def text_of(name: str) -> str:
    try:
        return (ROOT / name).read_text()
    except UnicodeDecodeError:
        return ""


# ── floors ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*FLOORS, *BESIDE])
def test_a_floor_is_a_regular_package_of_this_checkout(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__file__ is not None, "a namespace package: __init__.py is missing"
    assert Path(package.__file__) == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", [*FLOORS, "sandbox"])
def test_no_other_distribution_owns_the_name_of_a_floor(name: str) -> None:
    assert set(packages_distributions().get(name, ["mobinet"])) == {"mobinet"}


def test_there_is_no_other_package_at_the_top() -> None:
    found = {name.split("/")[0] for name in tracked() if name.endswith("__init__.py")}
    allowed = {*FLOORS, *BESIDE, "dashboard", "benchmarks"}
    assert {*FLOORS, *BESIDE} <= found <= allowed
    packaged = tomllib.loads(text_of("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]
    assert {*FLOORS, "sandbox"} <= set(packaged["wheel"]["packages"]) <= allowed


def test_a_file_is_short_enough_to_be_read() -> None:
    long = {
        name
        for name in tracked()
        if name.endswith((".py", ".md", ".sh"))
        and not name.startswith(("db/migrations/", "dashboard/"))
        and len(text_of(name).splitlines()) > MOST_LINES
    }
    assert long == set()


# ── what is published ────────────────────────────────────────────────────────────────────────────


def test_the_printed_schema_is_the_served_one() -> None:
    assert text_of("schema/schema.graphql") == sdl(), "run `mobinet schema > schema/schema.graphql`"


def test_every_refusal_code_is_published() -> None:
    (codes,) = re.findall(r"enum RefusalCode \{(.*?)\}", sdl(), re.DOTALL)
    assert set(codes.split()) == set(RefusalCode)


def test_every_state_and_every_move_of_a_payment_is_drawn() -> None:
    """The drawing above the table names each state; the table leaves none out."""
    import domain.payments

    assert set(TRANSITIONS) == set(PaymentStatus)
    drawing = domain.payments.__doc__
    assert drawing is not None
    for status in PaymentStatus:
        assert status in drawing
    assert "LATE_SUCCESS" in drawing
    ends = {status for status in PaymentStatus if not TRANSITIONS[status]}
    assert ends - {PaymentStatus.SUCCESS} == LATE_SUCCESS_FROM
    assert {to for moves in TRANSITIONS.values() for to in moves} == set(PaymentStatus) - {
        PaymentStatus.PENDING
    }


def test_the_picture_of_the_demo_shows_every_step_of_it() -> None:
    """`make picture` draws it anew."""
    letters = re.sub(r"<[^>]*>", "", text_of("docs/demo.svg"))
    shown = html.unescape(letters).replace("\xa0", " ")
    calls = [item for item in ast.walk(ast.parse(text_of("tests/demo/demo.py")))
             if isinstance(item, ast.Call) and ast.unparse(item.func) == "story.step"]  # fmt: skip
    titles = [call.args[0] for call in calls]
    parts = [part for title in titles
             for part in (title.values if isinstance(title, ast.JoinedStr) else [title])
             if isinstance(part, ast.Constant)]  # fmt: skip
    assert len(parts) >= len(calls) > 10
    assert [item.value for item in parts if str(item.value).strip() not in shown] == []


def test_every_mutation_and_subscription_says_what_it_does() -> None:
    core = schema._schema
    silent = [
        f"{root.name}.{name}"
        for root in (core.mutation_type, core.subscription_type)
        if root
        for name, field in root.fields.items()
        if not field.description
    ]
    assert silent == []


# ── what must not be told ────────────────────────────────────────────────────────────────────────

# A registry is chosen by whoever installs; a path of one machine helps nobody on another.
TELLTALES = re.compile(
    r"--(?:extra-)?index-url[ =]\S|PIP_INDEX|UV_INDEX|(?<![\w./])/(?:work|root|Users)/\w|/home/(?!mobinet)\w"
    r"|\.pyenv/",
)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = {
        f"{name}: {match[0]}"
        for name in tracked()
        if name != "tests/test_structure.py"
        for match in TELLTALES.finditer(text_of(name))
    }
    assert found == set()


def test_no_key_or_token_is_tracked() -> None:
    private = re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{20}")
    assert [name for name in tracked() if private.search(text_of(name))] == []


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_log_of_a_fault_shows_where_and_why_and_no_variable(env: str) -> None:
    before = structlog.get_config()
    quiet = logging.getLogger("pgqueuer").level
    said, password = io.StringIO(), secrets.token_hex(8)
    try:
        with redirect_stdout(said):
            logs.configure(env)  # type: ignore[arg-type]
            try:
                _fail(password=password)
            except ZeroDivisionError:
                structlog.get_logger("backend").exception("it failed")
    finally:
        structlog.configure(**before)
        logging.getLogger("pgqueuer").setLevel(quiet)
    assert "ZeroDivisionError" in said.getvalue()
    assert password not in said.getvalue()
    if env == "production":
        assert json.loads(said.getvalue())["event"] == "it failed"


def _fail(*, password: str) -> None:
    kept = password
    raise ZeroDivisionError(len(kept))


# ── tests ────────────────────────────────────────────────────────────────────────────────────────


def test_no_module_imports_a_test_module() -> None:
    """What tests share stands in tests/support; pytest alone loads test modules."""
    paths = {name for name in tracked() if name.startswith("tests/") and name.endswith(".py")}
    modules = {name.removesuffix(".py").replace("/", "."): name for name in paths}
    test_modules = {
        module
        for module in modules
        if module.rpartition(".")[2].startswith("test_") or module.endswith(".conftest")
    }
    found = {
        f"{name} imports {imported}"
        for name in paths
        for node in ast.walk(ast.parse(text_of(name)))
        for imported in imported_modules(node) & test_modules
    }
    assert found == set()


def imported_modules(node: ast.AST) -> set[str]:
    """Return the dotted names that an import statement may load, and none for other nodes."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
        return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return set()
