"""
Limits on what a query may request, measured in one pass over its document.

Each fragment is measured once, so that nested fragments take no more time than their text. The
cost counts list items: `payments(first: 50) { edges { node { id } } }` counts fifty nodes, and a
list without a size counts as `assumed_list`. The document need not be valid: it is measured
before validation, which takes seconds for some documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypedDict, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NamedTypeNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    is_composite_type,
)

PAGE_ARGUMENTS: Final = frozenset({"first", "last", "limit"})
"""The arguments for the number of items of a list."""

INTROSPECTION: Final = frozenset({"__schema", "__type"})

MAX_REPORTED: Final = 2**53
"""The largest exact integer in JSON; larger costs are reported as this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may request. The defaults admit every operation of the shipped clients."""

    depth: int = 12
    introspection_depth: int = 16
    """GraphiQL and code generators query the schema 13 to 15 levels deep."""
    root_fields: int = 20
    aliases: int = 30
    directives: int = 30
    cost: int = 20_000
    comparisons: int = 3_000
    """Pairs of fields of one name that validation compares, at some 10 µs each."""
    fragments: int = 30
    largest_page: int = 100
    """The size that a page given by a variable counts as; a larger value is refused."""
    assumed_list: int = 10
    tokens: int = 1_000
    """Ten times the largest operation of the shipped clients."""
    comments: int = 200


Excess = TypedDict("Excess", {"asked": int, "allowed": int})  # noqa: UP013
"""A limit that a document exceeds; clients see these two names."""


class Totals(NamedTuple):
    """What a selection set requests; `per_item` is the cost of each item of a page."""

    depth: int = 0
    fields: int = 0
    size: int = 0
    """The number of fields as written, including nested ones."""
    aliases: int = 0
    directives: int = 0
    comparisons: int = 0
    cost: int = 0
    per_item: int = 0
    introspection_depth: int = 0

    def plus(self, other: Totals) -> Totals:
        return Totals(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.size + other.size,
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.comparisons + other.comparisons,
            self.cost + other.cost,
            self.per_item + other.per_item,
            max(self.introspection_depth, other.introspection_depth),
        )


LIMITED: Final = (
    "depth",
    "introspection_depth",
    "root_fields",
    "aliases",
    "directives",
    "comparisons",
    "fragments",
    "cost",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one operation requests."""

    depth: int = 0
    introspection_depth: int = 0
    root_fields: int = 0
    aliases: int = 0
    directives: int = 0
    comparisons: int = 0
    fragments: int = 0
    """The fragments of the whole document."""
    cost: int = 0
    page_variables: frozenset[str] = frozenset()
    """The document's variables for page sizes."""

    def excesses(self, limits: Limits) -> dict[str, Excess]:
        """Return each exceeded limit by name."""
        return {
            name: {"asked": min(requested, MAX_REPORTED), "allowed": allowed}
            for name in LIMITED
            if (requested := getattr(self, name)) > (allowed := getattr(limits, name))
        }

    def page_excesses(self, variables: Mapping[str, object], limits: Limits) -> dict[str, Excess]:
        """Return each variable whose page is larger than what it was counted as."""
        excesses: dict[str, Excess] = {}
        for name in self.page_variables:
            value = variables.get(name)
            if isinstance(value, int | float) and value > limits.largest_page:
                requested = int(min(value, MAX_REPORTED))
                excesses[name] = {"asked": requested, "allowed": limits.largest_page}
        return excesses


def measure(
    schema: GraphQLSchema, document: DocumentNode, limits: Limits
) -> list[tuple[OperationDefinitionNode, Measure]]:
    """Return each operation of a parsed document, valid or not, with its measure."""
    measuring = _Measurement(schema, document, limits)
    return [(node, measuring.operation(node)) for node in _operations(document)]


class _Measurement:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
        self.schema = schema
        self.limits = limits
        self.fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.measured: dict[str, Totals] = {}  # by fragment
        self.page_variables: set[str] = set()
        self.defaults = _largest_defaults(_operations(document))

    def operation(self, node: OperationDefinitionNode) -> Measure:
        totals = self.selection(node.selection_set, self.schema.get_root_type(node.operation), {})
        return Measure(
            depth=totals.depth,
            introspection_depth=totals.introspection_depth,
            root_fields=totals.fields,
            aliases=totals.aliases,
            directives=totals.directives + len(node.directives or ()),
            comparisons=totals.comparisons,
            fragments=len(self.fragments),
            cost=self.cost(totals),
            page_variables=frozenset(self.page_variables),
        )

    def cost(self, totals: Totals) -> int:
        return totals.cost + totals.per_item * self.limits.assumed_list

    def selection(
        self, node: SelectionSetNode, parent: GraphQLCompositeType | None, sizes: dict[str, int]
    ) -> Totals:
        """
        Return the totals of a selection set.

        *sizes* counts the fields written under each response name, inline fragments included.
        """
        totals = Totals()
        for selection in node.selections:
            totals = totals.plus(Totals(directives=len(selection.directives or ())))
            if isinstance(selection, FieldNode):
                part = self.field(selection, parent)
                name = (selection.alias or selection.name).value
                size_so_far = sizes.get(name, 0)
                sizes[name] = size_so_far + part.size
                alias = int(name != selection.name.value)
                totals = totals.plus(Totals(aliases=alias, comparisons=size_so_far * part.size))
            elif isinstance(selection, InlineFragmentNode):
                type_ = self.composite_type(selection.type_condition) or parent
                part = self.selection(selection.selection_set, type_, sizes)
            else:
                part = self.fragment(cast("FragmentSpreadNode", selection).name.value)
            totals = totals.plus(part)
        return totals

    def fragment(self, name: str) -> Totals:
        if name not in self.measured:
            self.measured[name] = Totals()  # ends a cycle, which validation refuses later
            if node := self.fragments.get(name):
                type_ = self.composite_type(node.type_condition)
                inner = self.selection(node.selection_set, type_, {})
                self.measured[name] = inner.plus(Totals(directives=len(node.directives or ())))
        return self.measured[name]

    def composite_type(self, node: NamedTypeNode | None) -> GraphQLCompositeType | None:
        type_ = self.schema.get_type(node.name.value) if node else None
        return type_ if is_composite_type(type_) else None

    def field(self, node: FieldNode, parent: GraphQLCompositeType | None) -> Totals:
        name = node.name.value
        definition = self.schema.get_field(parent, name) if parent else None
        result = _result_type(definition)
        page = self.page_size(node)
        if node.selection_set is None:
            return Totals(depth=1, fields=int(name != "__typename"), size=1, cost=1)
        type_ = self.schema.get_type(str(result).strip("[]!"))
        inner = self.selection(node.selection_set, type_ if is_composite_type(type_) else None, {})
        here = inner._replace(depth=inner.depth + 1, fields=1, size=inner.size + 1)
        if name in INTROSPECTION:
            return here._replace(depth=1, cost=1, per_item=0, introspection_depth=here.depth)
        if not _is_list(result):
            items = self.limits.assumed_list if page is None else page
            return here._replace(cost=1 + inner.cost + items * inner.per_item, per_item=0)
        if page is not None:
            return here._replace(cost=1 + page * self.cost(inner), per_item=0)
        return here._replace(cost=1, per_item=self.cost(inner))

    def page_size(self, node: FieldNode) -> int | None:
        """Return the largest page size among a field's arguments; None without one."""
        sizes = [
            self.size(argument.value)
            for argument in node.arguments or ()
            if argument.name.value in PAGE_ARGUMENTS
        ]
        return max((size for size in sizes if size is not None), default=None)

    def size(self, value: ValueNode) -> int | None:
        """Return the number in the value of an argument; None where it has no number."""
        if isinstance(value, VariableNode):
            name = value.name.value
            self.page_variables.add(name)
            return max(self.limits.largest_page, self.defaults.get(name, 0))
        return max(1, _number(value)) if isinstance(value, IntValueNode) else None


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            yield node


def _largest_defaults(operations: Iterable[OperationDefinitionNode]) -> dict[str, int]:
    largest: dict[str, int] = {}
    for operation in operations:
        for definition in operation.variable_definitions or ():
            if isinstance(definition.default_value, IntValueNode):
                name = definition.variable.name.value
                largest[name] = max(largest.get(name, 0), _number(definition.default_value))
    return largest


def _number(node: IntValueNode) -> int:
    return int(node.value) if len(node.value) < 16 else MAX_REPORTED


def _result_type(field: GraphQLField | None) -> Any:
    return cast("Any", field).type if field else None


def _is_list(type_: object) -> bool:
    return str(type_).startswith("[")
