"""What is wrong with the settings: the variable's name, the problem and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

PREFIX = "MOBINET_"


class SettingsError(Exception):
    """Holds one line for each wrong variable: its name, the problem and the remedy."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def variable(location: tuple[str | int, ...]) -> str:
    """Return the environment variable of the setting at a location."""
    return PREFIX + "__".join(part.upper() for part in location if isinstance(part, str))


def misspelt(environment: Iterable[str], settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """
    Yield each variable that nearly names a setting, with that setting's variable.

    Other variables with our prefix may belong to other programs and are ignored.
    """
    known = {name.removeprefix(PREFIX) for name in _variables(settings)}
    present = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    for name in sorted(present - known):
        for similar in get_close_matches(name, known, 1, 0.85):
            yield PREFIX + name, PREFIX + similar


def _variables(model: type[BaseModel], *parents: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        yield variable((*parents, name))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _variables(kind, *parents, name)


def problem(error: ErrorDetails) -> str:
    """Return what is wrong with a value and what to set, without the value itself."""
    match error["type"]:
        case "value_error":
            return str(error.get("ctx", {})["error"])
        case "int_parsing" | "int_type":
            return "is not a whole number: set digits only"
        case "bool_parsing":
            return "is neither on nor off: set one of the two"
        case "literal_error":
            return f"must be {error.get('ctx', {})['expected']}"
        case "missing":
            return "is not set, and nothing can stand in for it: set it"
        case "greater_than_equal":
            return f"is too small: set {error.get('ctx', {})['ge']} or more"
        case "less_than_equal":
            return f"is too large: set {error.get('ctx', {})['le']} or less"
        case "too_long":
            return f"holds too many: set {error.get('ctx', {})['max_length']} at most"
        case "path_not_file":
            return "names no existing file: set the path of one"
        case _:
            return f"is wrong: {error['msg'][0].lower()}{error['msg'][1:]}"
