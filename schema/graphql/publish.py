"""`@shows(Model)` publishes, as a GraphQL object, the fields of a domain object that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import strawberry

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def shows(
    model: type, *, name: str | None = None, description: str | None = None
) -> Callable[[type[T]], type[T]]:
    """
    Make the decorated class the public face of *model*.

    Resolvers return the domain object itself and Strawberry reads the named fields and properties
    off it, so nothing is converted or copied. A field that the model does not have, or has with
    another type, stops the import. A face may allow null where the model does not yet need it.
    """

    def publish(face: type[T]) -> type[T]:
        promised = get_type_hints(face)
        kept = _kept(model)
        for field_name in face.__annotations__:
            if field_name not in kept:
                raise TypeError(
                    f"{model.__name__} has no {field_name!r} for {face.__name__} to show"
                )
            shown, has = _model_of(promised[field_name]), _model_of(kept[field_name])
            if not (shown == has or shown == has | {NoneType}):
                raise TypeError(
                    f"{face.__name__}.{field_name} shows {promised[field_name]},"
                    f" {model.__name__} has {kept[field_name]}"
                )
        setattr(face, "shows", model)  # noqa: B010 - a type checker knows no such attribute
        setattr(face, "is_type_of", classmethod(_is(model)))  # noqa: B010
        return strawberry.type(face, name=name, description=description)

    return publish


def _is(model: type) -> Callable[[type, object, object], bool]:
    return lambda _face, value, _info: isinstance(getattr(value, "shown", value), model)


def _kept(model: type) -> dict[str, Any]:
    """Return the model's fields and properties with their types."""
    assert is_dataclass(model)
    hints = get_type_hints(model)
    kept: dict[str, Any] = {field.name: hints[field.name] for field in fields(model)}
    for base in model.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, property) and value.fget is not None:
                kept.setdefault(name, get_type_hints(value.fget).get("return"))
    return kept


def _model_of(type_: Any) -> frozenset[Any]:
    """Return the domain types behind a public type: its union's members, sequences as what they hold."""
    origin = get_origin(type_)
    if origin in {Union, UnionType}:
        return frozenset(model for part in get_args(type_) for model in _model_of(part))
    if origin is not None and issubclass(origin, Sequence):
        return frozenset({(Sequence, _model_of(get_args(type_)[0]))})
    plain = getattr(type_, "__supertype__", type_)
    return frozenset({getattr(plain, "shows", plain)})
