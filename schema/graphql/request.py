"""A GraphQL request, as HTTP and WebSocket clients send it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from schema.graphql.errors import ApiError, RequestInfo, malformed

NOT_SUPPORTED: Final = "PersistedQueryNotSupported"
"""Apollo's clients compare this message, which is not translated, and then send the document."""


def is_absent(member: object) -> bool:
    """Return whether a member of a request is null or blank."""
    return member is None or (isinstance(member, str) and not member.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """A request whose members have the right types; a blank or null member counts as absent."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None

    @classmethod
    def read(cls, value: object) -> GraphQLRequest:
        """Return the request in decoded JSON. Raises ApiError for members of a wrong type."""
        if isinstance(value, list):
            raise malformed("Không hỗ trợ gửi gộp nhiều yêu cầu.", "Batching is not supported.")
        if not isinstance(value, dict):
            raise malformed(
                "Yêu cầu phải là một đối tượng JSON.", "The request must be a JSON object."
            )
        members = cast("dict[str, Any]", value)
        present = {name: member for name, member in members.items() if not is_absent(member)}
        for name, type_ in _PARAMETERS.items():
            if name in present and not isinstance(present[name], type_):
                kind = "a string" if type_ is str else "an object"
                raise malformed(f"Tham số `{name}` sai kiểu.", f"`{name}` must be {kind}.")
        return cls(
            query=present.get("query"),
            operation_name=present.get("operationName"),
            variables=present.get("variables"),
            extensions=present.get("extensions"),
            document_id=present.get("documentId"),
        )

    @property
    def refers_to_a_document(self) -> bool:
        """Return whether it refers to a stored document by Apollo's hash or by `documentId`."""
        return bool(self.document_id or (self.extensions or {}).get("persistedQuery"))


_PARAMETERS: Final[Mapping[str, type]] = {
    "query": str,
    "operationName": str,
    "variables": dict,
    "extensions": dict,
    "documentId": str,
}


def document_of(request: GraphQLRequest, _context: RequestInfo) -> str:
    """Return the request's own document, its `query`. Raises ApiError without one."""
    if request.query:
        return request.query
    if request.refers_to_a_document:
        raise ApiError("PERSISTED_QUERY_NOT_SUPPORTED", vi=NOT_SUPPORTED, en=NOT_SUPPORTED)
    raise malformed("Thiếu tham số `query`.", "`query` is missing.")
