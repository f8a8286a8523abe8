"""What each setting is called in the environment, and what is nearly called so."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from pydantic import BaseModel

PREFIX = "MOBINET_"


def variable(location: tuple[str | int, ...]) -> str:
    """Return the name of the setting at a place in the settings."""
    return PREFIX + "__".join(part.upper() for part in location if isinstance(part, str))


def misspelt(environment: Iterable[str], settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """
    Yield the variables that are nearly a setting, each with the one that was meant.

    Others that begin like ours may be somebody else's; one that is misspelt would be lost without a word.
    """
    known = {name.removeprefix(PREFIX) for name in _names(settings)}
    given = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    for name in sorted(given - known):
        for meant in get_close_matches(name, known, 1, 0.85):
            yield PREFIX + name, PREFIX + meant


def _names(model: type[BaseModel], *before: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        yield variable((*before, name))
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _names(kind, *before, name)
