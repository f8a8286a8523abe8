"""How much a query may ask for, measured in one pass over its document, whatever its fragments do.

Each fragment is measured once and remembered, so a document that spreads fragments in fragments
costs what its text costs. The cost knows lists: `payments(first: 50) { edges { node { id } } }`
counts fifty nodes, a list that says nothing counts as `assumed_list`. The measure needs no valid
document: it runs before validation, which some documents would keep busy for seconds.
"""

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
    VariableNode,
    is_composite_type,
)

PAGE_ARGUMENTS: Final = frozenset({"first", "last", "limit"})
"""The arguments that say how many items of a list are wanted."""

INTROSPECTION: Final = frozenset({"__schema", "__type"})

LARGEST_NUMBER: Final = 2**53
"""What JSON carries; an exponential document's cost is larger, and nobody needs to know by how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may ask for. The defaults let every shipped client's operation pass."""

    depth: int = 12
    introspection_depth: int = 16
    """GraphiQL and code generators ask for the schema 13 to 15 levels deep."""
    root_fields: int = 20
    aliases: int = 30
    directives: int = 30
    cost: int = 20_000
    comparisons: int = 3_000
    """Pairs of fields of one name that validation would hold against each other: some 10 µs each."""
    fragments: int = 30
    largest_page: int = 100
    """What a page given as a variable is counted as; a larger value is refused."""
    assumed_list: int = 10
    tokens: int = 1_000
    """Ten times the largest operation of the shipped clients."""
    comments: int = 200


class Excess(TypedDict):
    asked: int
    allowed: int


class Sum(NamedTuple):
    """What a selection set asks for. `cost` is fixed, `per_item` counts once for each item of a page."""

    depth: int = 0
    fields: int = 0
    size: int = 0
    """Fields here and below, as they are written."""
    aliases: int = 0
    directives: int = 0
    comparisons: int = 0
    cost: int = 0
    per_item: int = 0
    introspection_depth: int = 0

    def beside(self, other: "Sum") -> "Sum":
        return Sum(
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
    """What one operation asks for."""

    depth: int = 0
    introspection_depth: int = 0
    root_fields: int = 0
    aliases: int = 0
    directives: int = 0
    comparisons: int = 0
    fragments: int = 0
    """In the whole document."""
    cost: int = 0
    page_variables: frozenset[str] = frozenset()
    """The variables of the document that say how long a page is."""

    def beyond(self, limits: Limits) -> dict[str, Excess]:
        """Each limit that is passed, with what was asked and what is allowed; empty: none."""
        return {
            name: Excess(asked=min(asked, LARGEST_NUMBER), allowed=allowed)
            for name in LIMITED
            if (asked := getattr(self, name)) > (allowed := getattr(limits, name))
        }

    def pages_beyond(self, variables: Mapping[str, object], limits: Limits) -> dict[str, Excess]:
        """The variables of this request that ask for more than the page they were counted as."""
        found: dict[str, Excess] = {}
        for name in self.page_variables:
            value = variables.get(name)
            if isinstance(value, int | float) and value > limits.largest_page:
                asked = int(min(value, LARGEST_NUMBER))
                found[name] = Excess(asked=asked, allowed=limits.largest_page)
        return found


def measure(
    schema: GraphQLSchema, document: DocumentNode, limits: Limits
) -> list[tuple[OperationDefinitionNode, Measure]]:
    """Each operation of a parsed document, valid or not, and what it asks for."""
    return _Measuring(schema, document, limits).result()


class _Measuring:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
        self.schema = schema
        self.limits = limits
        self.operations = list(_operations(document))
        self.fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.known: dict[str, Sum] = {}
        self.page_variables: set[str] = set()
        self.defaults = _largest_defaults(self.operations)

    def result(self) -> list[tuple[OperationDefinitionNode, Measure]]:
        return [(node, self.operation(node)) for node in self.operations]

    def operation(self, node: OperationDefinitionNode) -> Measure:
        asked = self.selection(node.selection_set, self.schema.get_root_type(node.operation), {})
        return Measure(
            depth=asked.depth,
            introspection_depth=asked.introspection_depth,
            root_fields=asked.fields,
            aliases=asked.aliases,
            directives=asked.directives + len(node.directives or ()),
            comparisons=asked.comparisons,
            fragments=len(self.fragments),
            cost=self.total(asked),
            page_variables=frozenset(self.page_variables),
        )

    def total(self, inner: Sum) -> int:
        return inner.cost + inner.per_item * self.limits.assumed_list

    def selection(
        self, node: SelectionSetNode, parent: GraphQLCompositeType | None, seen: dict[str, int]
    ) -> Sum:
        """`seen`: how much has been written under each name of this set and those it is part of."""
        found = Sum()
        for selection in node.selections:
            found = found.beside(Sum(directives=len(selection.directives or ())))
            if isinstance(selection, FieldNode):
                part = self.field(selection, parent)
                name = (selection.alias or selection.name).value
                before = seen.get(name, 0)
                seen[name] = before + part.size
                alias = int(name != selection.name.value)
                found = found.beside(Sum(aliases=alias, comparisons=before * part.size))
            elif isinstance(selection, InlineFragmentNode):
                on = self.named(selection.type_condition, parent)
                part = self.selection(selection.selection_set, on, seen)
            else:
                part = self.fragment(cast("FragmentSpreadNode", selection).name.value)
            found = found.beside(part)
        return found

    def fragment(self, name: str) -> Sum:
        if name not in self.known:
            self.known[name] = Sum()  # what a circle finds; validation refuses it afterwards
            if node := self.fragments.get(name):
                on = self.named(node.type_condition, None)
                inner = self.selection(node.selection_set, on, {})
                self.known[name] = inner.beside(Sum(directives=len(node.directives or ())))
        return self.known[name]

    def named(
        self, node: NamedTypeNode | None, otherwise: GraphQLCompositeType | None
    ) -> GraphQLCompositeType | None:
        found = self.schema.get_type(node.name.value) if node else None
        return found if is_composite_type(found) else otherwise

    def field(self, node: FieldNode, parent: GraphQLCompositeType | None) -> Sum:
        name = node.name.value
        definition = self.schema.get_field(parent, name) if parent else None
        result = _result_of(definition)
        page = self.page(node)
        if node.selection_set is None:
            return Sum(depth=1, fields=int(name != "__typename"), size=1, cost=1)
        inside = self.schema.get_type(str(result).strip("[]!"))
        inner = self.selection(
            node.selection_set, inside if is_composite_type(inside) else None, {}
        )
        here = inner._replace(depth=inner.depth + 1, fields=1, size=inner.size + 1)
        if name in INTROSPECTION:
            return here._replace(depth=1, cost=1, per_item=0, introspection_depth=here.depth)
        if not _is_list(result):
            items = self.limits.assumed_list if page is None else page
            return here._replace(cost=1 + inner.cost + items * inner.per_item, per_item=0)
        if page is not None:
            return here._replace(cost=1 + page * self.total(inner), per_item=0)
        return here._replace(cost=1, per_item=self.total(inner))

    def page(self, node: FieldNode) -> int | None:
        for argument in node.arguments or ():
            if argument.name.value in PAGE_ARGUMENTS:
                if isinstance(argument.value, VariableNode):
                    name = argument.value.name.value
                    self.page_variables.add(name)
                    return max(self.limits.largest_page, self.defaults.get(name, 0))
                if isinstance(argument.value, IntValueNode):
                    return max(1, _number(argument.value))
        return None


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
    return int(node.value) if len(node.value) < 16 else LARGEST_NUMBER


def _result_of(field: GraphQLField | None) -> Any:
    return cast("Any", field).type if field else None


def _is_list(type_: object) -> bool:
    return str(type_).startswith("[")
