"""What shipped clients send is served: each operation is valid, and asks for no more than is allowed."""

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

# Not served yet. This list only shrinks: what is served is taken off it.
NOT_YET = {
    "mobile": {
        "Reasons", "RecordReason", "SendNotification",
    },
    "dashboard": {
        "Stats", "Integrations", "IntegrationHealth",
    },
}  # fmt: skip


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
    return any(f"...{other}" in text and f"...{name}" in print_ast(fragments[other]) for other in fragments)  # fmt: skip


OPERATIONS = operations()
each = pytest.mark.parametrize(
    ("client", "name"), OPERATIONS, ids=[f"{client}-{name}" for client, name in OPERATIONS]
)


@each
def test_an_operation_of_a_client_is_valid_unless_it_is_still_to_be_served(
    client: str, name: str
) -> None:
    errors = validate(schema._schema, OPERATIONS[client, name])
    if name in NOT_YET[client]:
        assert errors, "it is served now: take it off the list"
    else:
        assert errors == []


@each
def test_an_operation_of_a_client_asks_for_no_more_than_is_allowed(client: str, name: str) -> None:
    if name in NOT_YET[client]:
        pytest.skip("not served yet")
    engine: Engine[_Asker] = Engine(schema, introspection=False)
    asked = GraphQLRequest.read(
        {"query": print_ast(OPERATIONS[client, name]), "operationName": name}
    )
    engine.operation(asked, _Asker())


def test_the_list_names_only_what_clients_send() -> None:
    assert {(client, name) for client, names in NOT_YET.items() for name in names} <= set(OPERATIONS)  # fmt: skip


class _Asker:
    language = "vi"
    actor_id = None
    expires_at = None
