"""The project's structure: its layers, its vocabulary, and what no other tool checks."""

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
from collections import Counter
from collections.abc import Iterator
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
LAYERS = ("mobinet", "schema", "resolvers", "integrations", "db", "domain")
OTHER_PACKAGES = ("sandbox", "tests")
MAX_LINES = 350
MAX_MODULES = 20


def tracked_files() -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def text_of(name: str) -> str:
    try:
        return (ROOT / name).read_text()
    except UnicodeDecodeError:
        return ""


def syntax_trees(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the syntax tree of each module of the packages, migrations excepted."""
    for name in tracked_files():
        in_package = name.partition("/")[0] in packages
        if in_package and name.endswith(".py") and not name.startswith("db/migrations/"):
            yield name, ast.parse(text_of(name))


# ── layers ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*LAYERS, *OTHER_PACKAGES])
def test_a_layer_is_a_regular_package_of_this_checkout(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__file__ is not None, "a namespace package: __init__.py is missing"
    assert Path(package.__file__) == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", [*LAYERS, "sandbox"])
def test_no_other_distribution_owns_the_name_of_a_layer(name: str) -> None:
    assert set(packages_distributions().get(name, ["mobinet"])) == {"mobinet"}


def test_there_is_no_other_top_level_package() -> None:
    packages = {name.split("/")[0] for name in tracked_files() if name.endswith("__init__.py")}
    allowed = {*LAYERS, *OTHER_PACKAGES, "dashboard", "benchmarks"}
    assert {*LAYERS, *OTHER_PACKAGES} <= packages <= allowed
    project = tomllib.loads(text_of("pyproject.toml"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*LAYERS, "sandbox"} <= set(wheel["packages"]) <= allowed


def test_no_file_is_too_long() -> None:
    long = {
        name
        for name in tracked_files()
        if name.endswith((".py", ".md", ".sh"))
        and not name.startswith(("db/migrations/", "dashboard/"))
        and len(text_of(name).splitlines()) > MAX_LINES
    }
    assert long == set()


def test_no_folder_holds_too_many_modules() -> None:
    """`domain`, `resolvers` and `db` are flat: there the nouns of the names group the files."""
    modules = Counter(
        str(Path(name).parent)
        for name in tracked_files()
        if name.endswith(".py") and not name.endswith("__init__.py")
    )
    flat = {"domain", "resolvers", "db"}
    assert {folder for folder, count in modules.items() if count > MAX_MODULES} - flat == set()


def test_the_program_only_assembles_processes() -> None:
    """`mobinet` has few modules, no route and no GraphQL type; import contracts hold the rest."""
    modules = dict(syntax_trees("mobinet"))
    assert len([tree for tree in modules.values() if tree.body]) <= MAX_MODULES
    imported = {
        name
        for tree in modules.values()
        for node in ast.walk(tree)
        for name in _imported_modules(node)
    }
    assert not {name for name in imported if name.startswith(("starlette.routing", "strawberry"))}


def _imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


# ── vocabulary ───────────────────────────────────────────────────────────────────────────────────

# No identifier contains one of these words, and none is one of those names (docs/glossary.md).
BANNED_WORDS = {"told", "said", "asked", "kept"}
BANNED_NAMES = {"no", "one", "print_", "saying", "beside", "voice", "face", "house"}


def test_identifiers_follow_the_glossary() -> None:
    banned = {
        f"{path}: {name}"
        for path, tree in syntax_trees(*LAYERS, *OTHER_PACKAGES, "benchmarks")
        for name in [*Path(path).parts[:-1], Path(path).stem, *_defined_names(tree)]
        if _is_banned(name)
    }
    assert banned == set()


@pytest.mark.parametrize(
    "name", ["told", "what_was_said", "SAID", "AmountAsked", "keptRows", "_asked", "no", "face"]
)
def test_a_banned_identifier_is_found(name: str) -> None:
    tree = ast.parse(f"def function({name}): pass")
    assert [name for name in _defined_names(tree) if _is_banned(name)] == [name]


@pytest.mark.parametrize("name", ["tolderol", "surface", "one_line", "no_key", "task", "keeper"])
def test_an_identifier_that_only_resembles_a_banned_one_is_allowed(name: str) -> None:
    assert not _is_banned(name)


def _is_banned(name: str) -> bool:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return name.lower() in BANNED_NAMES or not BANNED_WORDS.isdisjoint(map(str.lower, words))


def _defined_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module defines: variables, attributes, arguments, functions, ..."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case _:
                pass


LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}


def test_log_events_are_snake_case() -> None:
    events = {
        (path, event)
        for path, tree in syntax_trees(*LAYERS)
        for event in _log_events(tree)
        if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", event)
    }
    assert events == set()


def test_a_log_event_that_is_not_snake_case_is_found() -> None:
    source = """
log = structlog.get_logger(__name__)
log.info("it happened", id=1)
log.error(f"fault {id}")
structlog.get_logger().warning("Late")
other.info("not an event")
"""
    assert list(_log_events(ast.parse(source))) == ["it happened", "f'fault {id}'", "Late"]


def _log_events(tree: ast.Module) -> Iterator[str]:
    """Yield the event of each structlog call; of a computed event, its expression."""
    loggers = {
        ast.unparse(target)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and _makes_logger(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        logger, method = node.func.value, node.func.attr
        if method in LOG_METHODS and (ast.unparse(logger) in loggers or _makes_logger(logger)):
            event = node.args[0]
            yield event.value if isinstance(event, ast.Constant) else ast.unparse(event)


def _makes_logger(expression: ast.expr | None) -> bool:
    return (
        isinstance(expression, ast.Call)
        and re.fullmatch(r"structlog\.(stdlib\.)?get_logger", ast.unparse(expression.func))
        is not None
    )


# ── what is published ────────────────────────────────────────────────────────────────────────────


def test_the_printed_schema_is_the_served_one() -> None:
    assert text_of("schema/schema.graphql") == sdl(), "run `mobinet schema > schema/schema.graphql`"


def test_every_refusal_code_is_published() -> None:
    (codes,) = re.findall(r"enum RefusalCode \{(.*?)\}", sdl(), re.DOTALL)
    assert set(codes.split()) == set(RefusalCode)


def test_the_drawing_of_the_payment_states_is_complete() -> None:
    """The docstring of domain/payments.py draws each state, and the table has each one."""
    import domain.payments

    assert set(TRANSITIONS) == set(PaymentStatus)
    drawing = domain.payments.__doc__
    assert drawing is not None
    for status in PaymentStatus:
        assert status in drawing
    assert "LATE_SUCCESS" in drawing
    final = {status for status in PaymentStatus if not TRANSITIONS[status]}
    assert final - {PaymentStatus.SUCCESS} == LATE_SUCCESS_FROM
    assert {to for moves in TRANSITIONS.values() for to in moves} == set(PaymentStatus) - {
        PaymentStatus.PENDING
    }


def test_the_picture_of_the_demo_shows_every_step_of_it() -> None:
    """If this fails, run `make picture`."""
    text = re.sub(r"<[^>]*>", "", text_of("docs/demo.svg"))
    shown = html.unescape(text).replace("\xa0", " ")
    calls = [
        node
        for node in ast.walk(ast.parse(text_of("tests/demo/demo.py")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "story.step"
    ]
    titles = [call.args[0] for call in calls]
    parts = [
        part
        for title in titles
        for part in (title.values if isinstance(title, ast.JoinedStr) else [title])
        if isinstance(part, ast.Constant)
    ]
    assert len(parts) >= len(calls) > 10
    assert [part.value for part in parts if str(part.value).strip() not in shown] == []


def test_every_mutation_and_subscription_has_a_description() -> None:
    core = schema._schema
    undescribed = [
        f"{root.name}.{name}"
        for root in (core.mutation_type, core.subscription_type)
        if root
        for name, field in root.fields.items()
        if not field.description
    ]
    assert undescribed == []


# ── what must not be published ───────────────────────────────────────────────────────────────────

# Whoever installs the project chooses the registry; a path of one machine is useless on another.
MACHINE_SPECIFIC = re.compile(
    r"--(?:extra-)?index-url[ =]\S|PIP_INDEX|UV_INDEX"
    r"|(?<![\w./])/(?:work|root|Users)/\w|/home/(?!mobinet)\w|\.pyenv/",
)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = {
        f"{name}: {match[0]}"
        for name in tracked_files()
        if name != "tests/test_structure.py"
        for match in MACHINE_SPECIFIC.finditer(text_of(name))
    }
    assert found == set()


def test_no_key_or_token_is_tracked_files() -> None:
    private = re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{20}")
    assert [name for name in tracked_files() if private.search(text_of(name))] == []


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_logged_fault_has_its_traceback_and_no_variables(env: str) -> None:
    configuration = structlog.get_config()
    level = logging.getLogger("pgqueuer").level
    output, password = io.StringIO(), secrets.token_hex(8)
    try:
        with redirect_stdout(output):
            logs.configure(env)  # type: ignore[arg-type]
            try:
                _fail(password=password)
            except ZeroDivisionError:
                structlog.get_logger("backend").exception("it_failed")
    finally:
        structlog.configure(**configuration)
        logging.getLogger("pgqueuer").setLevel(level)
    assert "ZeroDivisionError" in output.getvalue()
    assert password not in output.getvalue()
    if env == "production":
        assert json.loads(output.getvalue())["event"] == "it_failed"


def _fail(*, password: str) -> None:
    local = password
    raise ZeroDivisionError(len(local))
