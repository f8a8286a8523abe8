"""What a client sends, over HTTP or in a WebSocket's `subscribe`: read once for both transports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from schema.graphql.errors import ApiError, Speaks, malformed

NOT_SUPPORTED: Final = "PersistedQueryNotSupported"
"""Apollo's clients compare this message, in no language, and then send the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """A request of the right types; an empty or null member is absent."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None

    @classmethod
    def read(cls, value: object) -> "GraphQLRequest":
        """Takes decoded JSON; raises `ApiError` for anything but a request of the right types."""
        if isinstance(value, list):
            raise malformed("Không hỗ trợ gửi gộp nhiều yêu cầu.", "Batching is not supported.")
        if not isinstance(value, dict):
            raise malformed(
                "Yêu cầu phải là một đối tượng JSON.", "The request must be a JSON object."
            )
        members = cast("dict[str, Any]", value)
        given = {name: member for name, member in members.items() if member not in (None, "")}
        for name, type_ in _PARAMETERS.items():
            if name in given and not isinstance(given[name], type_):
                kind = "a string" if type_ is str else "an object"
                raise malformed(f"Tham số `{name}` sai kiểu.", f"`{name}` must be {kind}.")
        return cls(
            query=given.get("query"),
            operation_name=given.get("operationName"),
            variables=given.get("variables"),
            extensions=given.get("extensions"),
            document_id=given.get("documentId"),
        )

    @property
    def names_a_document(self) -> bool:
        """Whether it names a document that the server is to know, in Apollo's form or by `documentId`."""
        return bool(self.document_id or (self.extensions or {}).get("persistedQuery"))


_PARAMETERS: Final[Mapping[str, type]] = {
    "query": str,
    "operationName": str,
    "variables": dict,
    "extensions": dict,
    "documentId": str,
}


def the_query(request: GraphQLRequest, _context: Speaks) -> str:
    """The document of a request: its `query`. Trusted documents put another function in this place."""
    if request.query:
        return request.query
    if request.names_a_document:
        raise ApiError("PERSISTED_QUERY_NOT_SUPPORTED", vi=NOT_SUPPORTED, en=NOT_SUPPORTED)
    raise malformed("Thiếu tham số `query`.", "`query` is missing.")
