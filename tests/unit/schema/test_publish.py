"""`@publishes` refuses, at import time, a field that the model lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NewType

import pytest
import strawberry

from schema.graphql.publish import publishes

Amount = NewType("Amount", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    id: str
    amount: int
    note: str | None
    inner: Inner
    inners: tuple[Inner, ...]
    secret: str

    @property
    def doubled(self) -> int:
        return 2 * self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Special(Model):
    pass


@publishes(Inner)
class PublicInner:
    name: str


def public_type(**fields: Any) -> type:
    return publishes(Model)(type("Public", (), {"__annotations__": fields}))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": strawberry.ID, "amount": Amount},
        {"amount": int, "doubled": Amount},
        {"note": str | None, "id": strawberry.ID | None},
        {"inner": PublicInner, "inners": list[PublicInner]},
        {"inners": list[PublicInner] | None},
    ],
    ids=repr,
)
def test_a_public_type_may_have_fields_and_properties_and_be_nullable(
    fields: dict[str, Any],
) -> None:
    assert public_type(**fields).published_model is Model  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [
        {"price": int},
        {"amount": str},
        {"note": str},
        {"inner": str},
        {"inners": list[str]},
        {"inners": PublicInner},
        {"doubled": str},
    ],
    ids=repr,
)
def test_a_field_that_the_model_lacks_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        public_type(**fields)


def test_only_the_named_fields_of_the_model_are_public() -> None:
    public = public_type(id=strawberry.ID, amount=int)

    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=public)
        def model(self) -> Model:
            inner = Inner(name="x")
            return Model(id="1", amount=2, note=None, inner=inner, inners=(), secret="s")

    schema = strawberry.Schema(query=Query)
    assert schema.execute_sync("{ model { id amount } }").data == {
        "model": {"id": "1", "amount": 2}
    }
    assert "secret" not in schema.as_str()


def test_a_subclass_of_the_model_has_the_type_and_another_class_does_not() -> None:
    public: Any = public_type(id=strawberry.ID)
    inner = Inner(name="x")
    values = {"id": "1", "amount": 2, "note": None, "inner": inner, "inners": (), "secret": "s"}
    assert public.is_type_of(Model(**values), None)
    assert public.is_type_of(Special(**values), None)
    assert not public.is_type_of(Inner(name="x"), None)
