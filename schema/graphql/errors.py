"""What the API says no with: a code, a sentence in both languages, and no fault laid bare."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import structlog
from graphql import FieldNode, GraphQLError, ValueNode, VariableDefinitionNode

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Language = Literal["vi", "en"]


class Speaks(Protocol):
    """What every context knows: the language of whoever asks."""

    @property
    def language(self) -> Language: ...


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
"""What a refused request answers with in `application/graphql-response+json`; every other code is 400."""


class ApiError(GraphQLError):
    """A top-level error that the client may read; its texts default to those of its code.

    With a `status`, a request refused for it answers so in both media types.
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


class Refused(Exception):
    """A request of which nothing was run, with the errors that say why."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(*errors)
        self.errors = errors


FormatError = Callable[[GraphQLError, Speaks], dict[str, Any]]


def format_error(
    error: GraphQLError,
    context: Speaks,
    *,
    translate: Callable[[Exception], ApiError | None] = lambda _: None,
) -> dict[str, Any]:
    """One error as the client sees it. What is no GraphQLError is a fault: logged with an id, and masked.

    `translate` may make an `ApiError` of another floor's exception.
    """
    cause = _innermost(error)
    said = cause if isinstance(cause, ApiError) else translate(cause)
    if said is None and _is_fault(error, cause):
        fault = uuid.uuid4().hex
        log.error("fault", id=fault, path=error.path, exc_info=cause)
        said = ApiError("INTERNAL", details={"id": fault})
    formatted: dict[str, Any] = {**error.formatted}
    if said is None:
        formatted["message"] = _of_input(error.message, context.language)
        formatted["extensions"] = {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    else:
        formatted |= {"message": said.text(context.language), "extensions": said.extensions}
    return formatted


_VARIABLE = re.compile(
    r"Variable '\$(?P<name>\w+)' has invalid value(?: at (?P<path>[^:]+))?: (?P<why>.*)", re.DOTALL
)
_WHY: Final = (
    (re.compile(r"does not exist in '(\w+)' enum"), "không phải là một giá trị của {0}"),
    (re.compile(r"to include required field '(\w+)'"), "thiếu trường bắt buộc {0}"),
    (re.compile(r"not to be None"), "không được để trống"),
)


def _of_input(message: str, language: Language) -> str:
    """
    Say what is wrong with a variable in the asker's language, and never repeat what was sent.

    graphql-core's own words for anything else, which a developer meets and no one at a door.
    """
    found = _VARIABLE.match(message)
    if found is None:
        return message
    name = f"${found['name']}{found['path'] or ''}"
    why = re.split(r",? found: |; found|(?<=value): ", found["why"], flags=re.DOTALL)[0].rstrip(".")
    if language == "en":
        return f"{name} is not valid: {why}. Correct it and send the request again."
    for pattern, words in _WHY:
        if match := pattern.search(why):
            return f"{name}: {words.format(*match.groups())}. Hãy sửa rồi gửi lại."
    return f"{name} không đúng kiểu hoặc giá trị. Hãy sửa rồi gửi lại."


def _innermost(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_fault(error: GraphQLError, cause: Exception) -> bool:
    """Whether this is our mistake: no GraphQLError, or graphql-core failing to write a field's value.

    What a scalar raises at a value that the client gave is the client's mistake, whatever its type.
    """
    at = error.nodes[0] if error.nodes else None
    if not isinstance(cause, GraphQLError):
        return error.path is not None or not isinstance(at, VariableDefinitionNode | ValueNode)
    wrote = error.path is not None and isinstance(at, FieldNode)
    return wrote and "code" not in (cause.extensions or {})


def malformed(vi: str, en: str, status: int = 400) -> ApiError:
    """A request that is none, with what to mend."""
    return ApiError("BAD_USER_INPUT", vi=vi, en=en, status=status)
