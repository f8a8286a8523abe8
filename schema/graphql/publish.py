"""`@publishes(Model)`: a GraphQL object type whose fields are read from a domain object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import strawberry

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def publishes(
    model: type, *, name: str | None = None, description: str | None = None
) -> Callable[[type[T]], type[T]]:
    """
    Make the decorated class the GraphQL type of *model*.

    Resolvers return the domain object itself, and Strawberry reads its fields and properties, so
    nothing is copied. A field may be null where the model's is not. Raises TypeError at import
    time for a field that the model lacks or has with another type.
    """

    def publish(public: type[T]) -> type[T]:
        public_types, model_types = get_type_hints(public), _model_types(model)
        for field in public.__annotations__:
            if field not in model_types:
                raise TypeError(
                    f"{public.__name__} publishes {model.__name__}.{field}: no such field"
                )
            expected, actual = _unwrapped(public_types[field]), _unwrapped(model_types[field])
            if expected not in (actual, actual | {NoneType}):
                raise TypeError(
                    f"{public.__name__}.{field} is {public_types[field]},"
                    f" but {model.__name__}.{field} is {model_types[field]}"
                )
        # Type checkers know neither attribute, hence setattr.
        setattr(public, "published_model", model)  # noqa: B010
        setattr(public, "is_type_of", classmethod(_is_type_of(model)))  # noqa: B010
        return strawberry.type(public, name=name, description=description)

    return publish


def _is_type_of(model: type) -> Callable[[type, object, object], bool]:
    return lambda _class, value, _info: isinstance(getattr(value, "published_value", value), model)


def _model_types(model: type) -> dict[str, Any]:
    """Return the types of the model's fields and properties by name."""
    assert is_dataclass(model)
    hints = get_type_hints(model)
    types: dict[str, Any] = {field.name: hints[field.name] for field in fields(model)}
    for base in model.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, property) and value.fget is not None:
                types.setdefault(name, get_type_hints(value.fget).get("return"))
    return types


def _unwrapped(type_: Any) -> frozenset[Any]:
    """Return the domain types of a union's members; a sequence counts by its item type."""
    origin = get_origin(type_)
    if origin in {Union, UnionType}:
        return frozenset(member for part in get_args(type_) for member in _unwrapped(part))
    if origin is not None and issubclass(origin, Sequence):
        return frozenset({(Sequence, _unwrapped(get_args(type_)[0]))})
    plain = getattr(type_, "__supertype__", type_)
    return frozenset({getattr(plain, "published_model", plain)})
