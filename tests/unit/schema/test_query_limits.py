"""What a document may ask for, and that asking for too much costs us little."""

import re

import pytest
from graphql import (
    GraphQLCompositeType,
    GraphQLField,
    build_schema,
    get_introspection_query,
    parse,
)

from schema.graphql.query_limits import Limits, Measure, measure

SCHEMA = build_schema(
    """
    type Query { payments(first: Int, after: String): Connection!, payment: Payment, all: [Payment!]! }
    type Connection { edges: [Edge!]!, totalCount: Int! }
    type Edge { cursor: String!, node: Payment! }
    type Payment { id: ID!, items: [Item!]!, staff: Staff, history(first: Int!): [Payment!]!, parent: Payment }
    type Item { id: ID!, amount: Int! }
    type Staff { name: String! }
    union Refusal = A | B
    type A { code: String! } type B { code: String! }
    """
)


def of(text: str, limits: Limits | None = None) -> Measure:
    return measure(SCHEMA, parse(text), limits or Limits())[0][1]


def beyond(text: str, limits: Limits | None = None) -> set[str]:
    return set(of(text, limits).beyond(limits or Limits()))


@pytest.mark.parametrize(
    ("text", "depth", "cost"),
    [
        ("{ __typename }", 1, 1),
        ("{ payment { id } }", 2, 2),
        ("{ payment { staff { name } id } }", 3, 4),
        ("{ all { id } }", 2, 11),
        ("{ payment { items { id amount } } }", 3, 22),
        ("{ payment { history(first: 5) { id } } }", 3, 7),
        ("{ payment { history(first: 5) { history(first: 4) { id } } } }", 4, 27),
        ("{ payments(first: 50) { totalCount edges { node { id } } } }", 4, 103),
        ("{ payments { edges { node { id } } } }", 4, 22),
        ("{ payments(first: 50) { ...F } } fragment F on Connection { edges { cursor } }", 3, 52),
        ("query($n: Int) { payments(first: $n) { edges { cursor } } }", 3, 102),
        ("query($n: Int = 500) { payments(first: $n) { edges { cursor } } }", 3, 502),
        ("{ payment { history(first: 0) { id } } }", 3, 3),
    ],
)
def test_a_document_costs_what_its_lists_may_bring(text: str, depth: int, cost: int) -> None:
    measured = of(text)
    assert (measured.depth, measured.cost) == (depth, cost)


def test_a_fragment_costs_what_its_fields_would() -> None:
    plain = of("{ payment { items { id } staff { name } } }")
    spread = of(
        "{ payment { ...F } } fragment F on Payment { items { id } ...G } fragment G on Payment { staff { name } }"
    )
    assert (spread.cost, spread.depth) == (plain.cost, plain.depth)


def test_each_limit_refuses_with_its_numbers() -> None:
    deep = "{ payment " + "{ parent " * 12 + "{ id }" + "}" * 13
    assert of(deep).beyond(Limits()) == {"depth": {"asked": 14, "allowed": 12}}
    assert beyond("{" + "".join(f" a{n}: payment {{ id }}" for n in range(31)) + "}") == {
        "root_fields",
        "aliases",
    }
    assert beyond("{ payment { id" + " @skip(if: false)" * 31 + "} }") == {"directives"}
    assert beyond("{ payments(first: 20000) { edges { cursor } } }") == {"cost"}
    assert beyond("{ payment {" + " ... on Payment { id }" * 80 + "} }") == {"comparisons"}
    fragments = "".join(f" fragment F{n} on Payment {{ id }}" for n in range(31))
    assert beyond("{ payment { id } }" + fragments) == {"fragments"}


def test_a_page_given_as_a_variable_may_not_exceed_what_it_was_counted_as() -> None:
    measured = of("query($n: Int) { payments(first: $n) { edges { cursor } } }")
    assert measured.pages_beyond({"n": 100}, Limits()) == {}
    assert measured.pages_beyond({}, Limits()) == {}
    assert measured.pages_beyond({"n": 101}, Limits()) == {"n": {"asked": 101, "allowed": 100}}


def test_a_union_of_refusals_may_repeat_its_fields() -> None:
    members = "".join(f"... on {name} {{ code }} " for name in "AB" * 7)
    assert beyond("{ payment {" + members + "} }") == set()


def test_introspection_has_a_depth_of_its_own() -> None:
    measured = of(get_introspection_query(input_value_deprecation=True, specified_by_url=True))
    assert measured.depth == 1
    assert measured.beyond(Limits()) == {}
    deep = "{ __schema { types { fields { type " + "{ ofType " * 14 + "{ name }" + "}" * 18
    assert beyond(deep) == {"introspection_depth"}


@pytest.mark.parametrize("twice", ["...F{n} ...F{n}", "parent {{ ...F{n} }} parent {{ ...F{n} }}"])
def test_fragments_in_fragments_are_measured_once(
    twice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring visits each field as often as it is written, not as often as it is spread."""
    visits: list[str] = []
    get_field = SCHEMA.get_field

    def counted(parent: GraphQLCompositeType, name: str) -> GraphQLField | None:
        visits.append(name)
        return get_field(parent, name)

    monkeypatch.setattr(SCHEMA, "get_field", counted)
    bomb = "{ payment { ...F0 } }"
    for n in range(22):
        bomb += f" fragment F{n} on Payment {{ {twice.format(n=n + 1)} }}"
    bomb += " fragment F22 on Payment { id }"
    ((_, measured),) = measure(SCHEMA, parse(bomb), Limits())
    assert len(visits) == len(re.findall(r"\b(?:payment|parent|id)\b", bomb))
    assert "cost" in measured.beyond(Limits())


def test_what_is_not_valid_is_measured_too() -> None:
    assert (
        beyond("{ payment { ...A } } fragment A on Payment { ...B } fragment B on Payment { ...A }")
        == set()
    )
    assert beyond("{ nothing { of ... on Nobody { the } ...Kind } }") == set()
