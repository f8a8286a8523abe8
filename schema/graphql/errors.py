"""Top-level GraphQL errors: a code and a sentence in both languages; faults are masked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import structlog
from graphql import FieldNode, GraphQLError, ValueNode, VariableDefinitionNode

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Language = Literal["vi", "en"]


class RequestInfo(Protocol):
    """The part of a context that every response needs."""

    @property
    def language(self) -> Language: ...

    @property
    def request_id(self) -> str:
        """The id that the response repeats; "": none."""
        ...


TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "UNAUTHENTICATED": ("Vui lòng đăng nhập.", "Please log in."),
    "FORBIDDEN": (
        "Bạn không có quyền thực hiện thao tác này. Hãy dùng tài khoản được phân quyền.",
        "You may not do this. Use an account that may.",
    ),
    "RATE_LIMITED": (
        "Quá nhiều yêu cầu, vui lòng thử lại sau.",
        "Too many requests, try again later.",
    ),
    "BAD_USER_INPUT": ("Yêu cầu không hợp lệ.", "The request is not valid."),
    "NOT_FOUND": ("Không tìm thấy dữ liệu.", "Not found."),
    "UPSTREAM_UNAVAILABLE": (
        "Hệ thống liên quan tạm thời không phản hồi, vui lòng thử lại.",
        "A system we depend on does not answer, try again.",
    ),
    "QUERY_TOO_EXPENSIVE": (
        "Truy vấn yêu cầu quá nhiều dữ liệu. Hãy chọn ít trường hoặc trang nhỏ hơn.",
        "The query asks for too much. Ask for fewer fields, or a smaller page.",
    ),
    "OVERLOADED": (
        "Hệ thống đang quá tải và chưa xử lý yêu cầu này. Hãy thử lại sau vài giây.",
        "There is too much to do just now, and nothing was done for this request."
        " Try again in a few seconds.",
    ),
    "PERSISTED_DOCUMENT_REQUIRED": (
        "Chỉ chấp nhận các truy vấn đã đăng ký.",
        "Only registered documents are accepted.",
    ),
    "INTERNAL": (
        "Hệ thống gặp sự cố, vui lòng thử lại.",
        "Something went wrong on our side, try again.",
    ),
}
"""The top-level codes, in Vietnamese and English."""

STATUSES: Final[Mapping[str, int]] = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UPSTREAM_UNAVAILABLE": 503,
}
"""The status of a request error in `application/graphql-response+json`; every other code is 400."""


class ApiError(GraphQLError):
    """
    A top-level error whose text the client sees; by default the text of its code.

    A `status` applies to both media types.
    """

    def __init__(
        self,
        code: str,
        *,
        vi: str | None = None,
        en: str | None = None,
        details: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        texts = TEXTS.get(code, TEXTS["INTERNAL"])
        self.code = code
        self.vi = vi or texts[0]
        self.en = en or vi or texts[1]
        self.details = dict(details or {})
        self.status = status
        extensions = {"code": code} | ({"details": self.details} if self.details else {})
        super().__init__(self.en, extensions=extensions)

    def text(self, language: Language) -> str:
        return self.en if language == "en" else self.vi


class RequestError(Exception):
    """A request of which nothing ran (a "request error" of the GraphQL specification)."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(*errors)
        self.errors = errors


FormatError = Callable[[GraphQLError, RequestInfo], dict[str, Any]]


def format_error(
    error: GraphQLError,
    context: RequestInfo,
    *,
    translate: Callable[[Exception], ApiError | None] = lambda _: None,
) -> dict[str, Any]:
    """
    Return an error as the client sees it; a fault is logged with an id, and masked.

    `translate` returns the ApiError for an exception of a lower layer, or None.
    """
    cause = _innermost(error)
    api_error = cause if isinstance(cause, ApiError) else translate(cause)
    if api_error is None and _is_fault(error, cause):
        fault_id = uuid.uuid4().hex
        log.error("fault", id=fault_id, path=error.path, exc_info=cause)
        api_error = ApiError("INTERNAL", details={"id": fault_id})
    formatted: dict[str, Any] = {**error.formatted}
    if api_error is None:
        formatted["message"] = _input_message(error.message, context.language)
        formatted["extensions"] = {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    else:
        text = api_error.text(context.language)
        formatted |= {"message": text, "extensions": api_error.extensions}
    return formatted


_INVALID_VARIABLE = re.compile(
    r"Variable '\$(?P<name>\w+)' has invalid value(?: at (?P<path>[^:]+))?: (?P<problem>.*)",
    re.DOTALL,
)
_SENT_VALUE = re.compile(r",? found: |; found|(?<=value): ", re.DOTALL)
_VIETNAMESE_PROBLEMS: Final = (
    (re.compile(r"does not exist in '(\w+)' enum"), "không phải là một giá trị của {0}"),
    (re.compile(r"to include required field '(\w+)'"), "thiếu trường bắt buộc {0}"),
    (re.compile(r"not to be None"), "không được để trống"),
)


def _input_message(message: str, language: Language) -> str:
    """
    Translate graphql-core's message about a variable, without the value that was sent.

    Other messages concern developers only and stay as they are.
    """
    invalid = _INVALID_VARIABLE.match(message)
    if invalid is None:
        return message
    name = f"${invalid['name']}{invalid['path'] or ''}"
    problem = _SENT_VALUE.split(invalid["problem"])[0].rstrip(".")
    if language == "en":
        return f"{name} is not valid: {problem}. Correct it and send the request again."
    for pattern, template in _VIETNAMESE_PROBLEMS:
        if match := pattern.search(problem):
            return f"{name}: {template.format(*match.groups())}. Hãy sửa rồi gửi lại."
    return f"{name} không đúng kiểu hoặc giá trị. Hãy sửa rồi gửi lại."


def _innermost(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_fault(error: GraphQLError, cause: Exception) -> bool:
    """
    Return whether the server is at fault rather than the client's input.

    Any exception of a resolver is a fault, and so is a result that cannot be serialized. What a
    scalar raises for a value that the client sent is not.
    """
    node = error.nodes[0] if error.nodes else None
    if not isinstance(cause, GraphQLError):
        return error.path is not None or not isinstance(node, VariableDefinitionNode | ValueNode)
    serializing = error.path is not None and isinstance(node, FieldNode)
    return serializing and "code" not in (cause.extensions or {})


def malformed(vi: str, en: str, status: int = 400) -> ApiError:
    """Return the error for a request that is not well-formed."""
    return ApiError("BAD_USER_INPUT", vi=vi, en=en, status=status)
