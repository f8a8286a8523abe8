"""`@shows`: a face promises no more than its model has, or the import stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NewType

import pytest
import strawberry

from schema.graphql.publish import shows

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


@shows(Inner)
class InnerFace:
    name: str


def face(**fields: Any) -> type:
    return shows(Model)(type("Face", (), {"__annotations__": fields}))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": strawberry.ID, "amount": Amount},
        {"amount": int, "doubled": Amount},
        {"note": str | None, "id": strawberry.ID | None},
        {"inner": InnerFace, "inners": list[InnerFace]},
        {"inners": list[InnerFace] | None},
    ],
    ids=repr,
)
def test_a_face_may_show_fields_and_properties_and_allow_null_where_there_is_none_yet(
    fields: dict[str, Any],
) -> None:
    assert face(**fields).shows is Model  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "fields",
    [
        {"price": int},
        {"amount": str},
        {"note": str},
        {"inner": str},
        {"inners": list[str]},
        {"inners": InnerFace},
        {"doubled": str},
    ],
    ids=repr,
)
def test_a_face_that_promises_what_the_model_lacks_stops_the_import(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        face(**fields)


def test_the_model_itself_is_served_and_what_is_not_named_is_not_public() -> None:
    shown = face(id=strawberry.ID, amount=int)

    @strawberry.type
    class Query:
        @strawberry.field(graphql_type=shown)
        def one(self) -> Model:
            inner = Inner(name="x")
            return Model(id="1", amount=2, note=None, inner=inner, inners=(), secret="s")

    schema = strawberry.Schema(query=Query)
    assert schema.execute_sync("{ one { id amount } }").data == {"one": {"id": "1", "amount": 2}}
    assert "secret" not in schema.as_str()


def test_a_value_of_another_kind_is_not_shown_and_one_of_a_special_kind_is() -> None:
    shown: Any = face(id=strawberry.ID)
    given = {"id": "1", "amount": 2, "note": None, "inner": Inner(name="x"), "inners": (), "secret": "s"}  # fmt: skip
    assert shown.is_type_of(Model(**given), None)
    assert shown.is_type_of(Special(**given), None)
    assert not shown.is_type_of(Inner(name="x"), None)
