"""The limits on a document, and how cheaply an excess is found."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    build_schema,
    get_introspection_query,
    parse,
)

from schema.graphql import query_limits
from schema.graphql.query_limits import Limits, Measure, measure

SCHEMA = build_schema(
    """
    type Query {
        payments(first: Int, after: String): Connection!
        payment: Payment
        all: [Payment!]!
    }
    type Connection { edges: [Edge!]!, totalCount: Int! }
    type Edge { cursor: String!, node: Payment! }
    type Payment {
        id: ID!
        items: [Item!]!
        staff: Staff
        history(first: Int!): [Payment!]!
        parent: Payment
    }
    type Item { id: ID!, amount: Int! }
    type Staff { name: String! }
    union Refusal = A | B
    type A { code: String! } type B { code: String! }
    """
)


def measured(text: str, limits: Limits | None = None) -> Measure:
    return measure(SCHEMA, parse(text), limits or Limits())[0][1]


def exceeded(text: str, limits: Limits | None = None) -> set[str]:
    return set(measured(text, limits).excesses(limits or Limits()))


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
def test_a_cost_counts_the_items_of_lists(text: str, depth: int, cost: int) -> None:
    measure = measured(text)
    assert (measure.depth, measure.cost) == (depth, cost)


def test_a_fragment_costs_what_its_fields_would() -> None:
    plain = measured("{ payment { items { id } staff { name } } }")
    spread = measured(
        "{ payment { ...F } } fragment F on Payment { items { id } ...G }"
        " fragment G on Payment { staff { name } }"
    )
    assert (spread.cost, spread.depth) == (plain.cost, plain.depth)


def test_each_limit_refuses_with_its_numbers() -> None:
    deep = "{ payment " + "{ parent " * 12 + "{ id }" + "}" * 13
    assert measured(deep).excesses(Limits()) == {"depth": {"asked": 14, "allowed": 12}}
    assert exceeded("{" + "".join(f" a{n}: payment {{ id }}" for n in range(31)) + "}") == {
        "root_fields",
        "aliases",
    }
    assert exceeded("{ payment { id" + " @skip(if: false)" * 31 + "} }") == {"directives"}
    assert exceeded("{ payments(first: 20000) { edges { cursor } } }") == {"cost"}
    assert exceeded("{ payment {" + " ... on Payment { id }" * 80 + "} }") == {"comparisons"}
    fragments = "".join(f" fragment F{n} on Payment {{ id }}" for n in range(31))
    assert exceeded("{ payment { id } }" + fragments) == {"fragments"}


def test_a_page_given_as_a_variable_may_not_exceed_what_it_was_counted_as() -> None:
    measure = measured("query($n: Int) { payments(first: $n) { edges { cursor } } }")
    assert measure.page_excesses({"n": 100}, Limits()) == {}
    assert measure.page_excesses({}, Limits()) == {}
    assert measure.page_excesses({"n": 101}, Limits()) == {"n": {"asked": 101, "allowed": 100}}


def test_a_union_of_refusals_may_repeat_its_fields() -> None:
    members = "".join(f"... on {name} {{ code }} " for name in "AB" * 7)
    assert exceeded("{ payment {" + members + "} }") == set()


def test_introspection_has_a_depth_of_its_own() -> None:
    document = get_introspection_query(input_value_deprecation=True, specified_by_url=True)
    assert measured(document).depth == 1
    assert measured(document).excesses(Limits()) == {}
    deep = "{ __schema { types { fields { type " + "{ ofType " * 14 + "{ name }" + "}" * 18
    assert exceeded(deep) == {"introspection_depth"}


@pytest.mark.parametrize("twice", ["...F{n} ...F{n}", "parent {{ ...F{n} }} parent {{ ...F{n} }}"])
def test_fragments_in_fragments_are_measured_once(
    twice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document_text = "{ payment { ...F0 } }"
    for number in range(22):
        document_text += f" fragment F{number} on Payment {{ {twice.format(n=number + 1)} }}"
    document_text += " fragment F22 on Payment { id }"
    visits = 0
    measure_selection = query_limits._Measurement.selection

    def count_visits(*arguments: Any) -> Any:
        nonlocal visits
        visits += 1
        return measure_selection(*arguments)

    monkeypatch.setattr(query_limits._Measurement, "selection", count_visits)
    ((_, result),) = measure(SCHEMA, parse(document_text), Limits())
    assert visits == document_text.count("{"), "a selection set was measured twice"
    assert "cost" in result.excesses(Limits())


def test_an_invalid_document_is_measured_too() -> None:
    assert (
        exceeded(
            "{ payment { ...A } } fragment A on Payment { ...B } fragment B on Payment { ...A }"
        )
        == set()
    )
    assert exceeded("{ nothing { of ... on Nobody { the } ...Kind } }") == set()
