"""Documents: parsed, measured and validated once, and cached by their hash."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import ASTValidationRule, MaxIntrospectionDepthRule
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.graphql.card_numbers import check_no_card_number
from schema.graphql.errors import ApiError, RequestError
from schema.graphql.query_limits import Limits, Measure, measure

Errors = tuple[GraphQLError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedDocument:
    """A parsed, measured and valid document."""

    key: bytes
    document: DocumentNode
    operations: Mapping[str | None, tuple[OperationDefinitionNode, Measure]]
    root_names: Mapping[str | None, frozenset[str]]
    """The names of each operation's root fields."""


class Documents:
    """The documents of one schema, at most so many and with so many tokens together."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        introspection: bool,
        documents: int,
        tokens: int,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = _rules(introspection)
        self._cache: OrderedDict[bytes, tuple[PreparedDocument | Errors, int]] = OrderedDict()
        self._capacity = (documents, tokens)
        self._tokens = 0

    def prepare(self, text: str) -> PreparedDocument:
        """Return the document parsed, measured and validated. Raises RequestError."""
        key = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        if (cached := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            prepared = cached[0]
        else:
            try:
                prepared = self._prepare(key, text)
                weight = prepared.document.token_count
            except RequestError as error:
                prepared, weight = error.errors, 10 + len(text) // 4
            self._remember(key, prepared, weight)
        if not isinstance(prepared, PreparedDocument):
            raise RequestError(*prepared)
        return prepared

    def _remember(self, key: bytes, prepared: PreparedDocument | Errors, weight: int) -> None:
        """Cache a document, or its errors; evict the least recently used ones."""
        max_documents, max_tokens = self._capacity
        self._cache[key] = (prepared, weight)
        self._tokens += weight
        while len(self._cache) > max_documents or self._tokens > max_tokens:
            self._tokens -= self._cache.popitem(last=False)[1][1]

    def _prepare(self, key: bytes, text: str) -> PreparedDocument:
        limits = self._limits
        try:
            check_no_card_number(text)
            document = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
            operations = measure(self._schema, document, limits)
        except GraphQLError as error:
            raise RequestError(_parse_error(error, limits)) from None
        except RecursionError:
            raise RequestError(ApiError("QUERY_TOO_EXPENSIVE")) from None
        for _, measured in operations:
            if excesses := measured.excesses(limits):
                raise RequestError(ApiError("QUERY_TOO_EXPENSIVE", details=excesses))
        if errors := validate(self._schema, document, self._rules, max_errors=20):
            raise RequestError(*errors)
        by_name = {
            node.name.value if node.name else None: (node, measured)
            for node, measured in operations
        }
        root_names = {name: _root_names(document, node) for name, (node, _) in by_name.items()}
        return PreparedDocument(
            key=key, document=document, operations=by_name, root_names=root_names
        )


def _root_names(document: DocumentNode, operation: OperationDefinitionNode) -> frozenset[str]:
    """Return the names of a valid operation's root fields, those in fragments included."""
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    names: set[str] = set()
    pending = [operation.selection_set]
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                names.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                pending.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                pending.append(fragments[selection.name.value].selection_set)
    return frozenset(names)


def _rules(introspection: bool) -> tuple[type[ASTValidationRule], ...]:
    last = MaxIntrospectionDepthRule if introspection else NoSchemaIntrospectionCustomRule
    return (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule, last)


def _parse_error(error: GraphQLError, limits: Limits) -> GraphQLError:
    error.__traceback__ = None  # the cached error must not keep the parser's frames alive
    if "Parsing aborted" in error.message:
        allowed = {"tokens": limits.tokens, "comments": limits.comments}
        return ApiError("QUERY_TOO_EXPENSIVE", details={"allowed": allowed})
    return error
