"""The operations of shipped clients are valid and within the limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    parse,
    print_ast,
    validate,
)

from schema.graphql.engine import Engine, GraphQLRequest
from schema.root import schema

FOLDER = Path(__file__).parents[3] / "clients"

# Operations without a field yet; remove each once it is served.
UNSERVED = {
    "mobile": {"Reasons", "RecordReason", "SendNotification"},
    "dashboard": {"Stats", "Integrations", "IntegrationHealth"},
}


def operations() -> dict[tuple[str, str], DocumentNode]:
    """Return each operation with the fragments of its file."""
    found = {}
    for path in sorted(FOLDER.glob("*.graphql")):
        document = parse(path.read_text())
        fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                assert definition.name is not None
                used = [
                    fragment
                    for name, fragment in fragments.items()
                    if _spreads(name, definition, fragments)
                ]
                found[path.stem, definition.name.value] = DocumentNode(
                    definitions=(definition, *used)
                )
    return found


def _spreads(
    name: str, operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]
) -> bool:
    text = print_ast(operation)
    if f"...{name}" in text:
        return True
    return any(
        f"...{other}" in text and f"...{name}" in print_ast(fragments[other]) for other in fragments
    )


OPERATIONS = operations()
each_operation = pytest.mark.parametrize(
    ("client", "name"), OPERATIONS, ids=[f"{client}-{name}" for client, name in OPERATIONS]
)


@each_operation
def test_an_operation_of_a_client_is_valid_unless_it_is_unserved(client: str, name: str) -> None:
    errors = validate(schema._schema, OPERATIONS[client, name])
    if name in UNSERVED[client]:
        assert errors, "it is served now: remove it from UNSERVED"
    else:
        assert errors == []


@each_operation
def test_an_operation_of_a_client_is_within_the_limits(client: str, name: str) -> None:
    if name in UNSERVED[client]:
        pytest.skip("not served yet")
    engine: Engine[_Context] = Engine(schema, introspection=False)
    request = GraphQLRequest.read(
        {"query": print_ast(OPERATIONS[client, name]), "operationName": name}
    )
    engine.operation(request, _Context())


def test_every_unserved_operation_is_a_clients() -> None:
    unserved = {(client, name) for client, names in UNSERVED.items() for name in names}
    assert unserved <= set(OPERATIONS)


class _Context:
    language = "vi"
    actor_id = None
    expires_at = None
