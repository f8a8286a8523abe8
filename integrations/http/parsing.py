"""Strict parsing of answers: a body that breaks the agreed shape is unreadable."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar, cast

import orjson
import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.money import MAX_JSON_INTEGER
from domain.refusals import NotFound, UpstreamUnavailable
from domain.sentences import Noun
from integrations.http.failures import NotConnected, Unanswered, Unreadable, Unusable
from integrations.http.json_text import RawNumber, decode
from integrations.http.messages import Answer

_log = structlog.stdlib.get_logger("integrations.http.parsing")

Amount = Annotated[int, Field(ge=0, le=MAX_JSON_INTEGER)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


EMPTY_AS_NONE = BeforeValidator(_none_if_empty)
"""For optional fields: an empty text means the same as an absent field."""


class WireModel(BaseModel):
    """Base of parsed bodies. `"5"`, `5.0` and `true` are no numbers; extra fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


Model = TypeVar("Model", bound=WireModel)


def parse(model: type[Model], body: bytes) -> Model:
    """Return *body* as *model*. Raises Unreadable, which names the field but not its value."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _unreadable(error) from None


def parse_value(model: type[Model], value: object) -> Model:
    """Return decoded JSON as *model*. Raises Unreadable as `parse` does."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _unreadable(error) from None


def parse_with_raw_numbers(model: type[Model], body: bytes) -> Model:
    """Return *body* as *model*, with amounts as the gateway wrote them. Raises Unreadable."""
    try:
        value = decode(body, constant=RawNumber)
    except ValueError:
        raise Unreadable("body: json_invalid") from None
    return parse_value(model, value)


def _unreadable(error: ValidationError) -> Unreadable:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return Unreadable(f"{place}: {first['type']}")


class Rejected(Exception):
    """A 4xx: `code` and `text` are the counterpart's own where it sent any."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.text = text

    @property
    def definite(self) -> bool:
        """Whether the request itself is the reason, so that a repeat would change nothing."""
        return self.status not in _NOT_ABOUT_THE_REQUEST


# Our key, our rate, or an earlier try that is still running.
_NOT_ABOUT_THE_REQUEST = frozenset({401, 403, 407, 408, 425, 429})


def parse_success(model: type[Model], answer: Answer) -> Model:
    """Return a 2xx answer as *model*. Raises Rejected for a 4xx, Unreadable for the rest."""
    check_success(answer)
    return parse(model, answer.body)


def check_success(answer: Answer) -> None:
    """Raise Rejected for a 4xx and Unreadable for any other status that is not 2xx."""
    if not answer.ok:
        raise rejection(answer)


def unusable(answer: Answer) -> Unreadable:
    """Return the error for a status that decides nothing. A 4xx in JSON is Unusable."""
    own_answer = 400 <= answer.status < 500 and _is_object(answer.body)
    return (Unusable if own_answer else Unreadable)(f"status {answer.status}")


def rejection(answer: Answer) -> Rejected:
    """Return a 4xx as an exception. Raises Unreadable for what is neither 2xx nor 4xx."""
    if answer.status < 400:
        raise Unreadable(f"status {answer.status}")
    code, text = _error_of(answer.body)
    return Rejected(answer.status, code or f"HTTP_{answer.status}", text)


@contextmanager
def raising_unavailable(system: str, *, pass_rejections: bool = False) -> Generator[None]:
    """
    Turn every failed call to *system* into UpstreamUnavailable.

    With `pass_rejections` a definite refusal is raised as Rejected: the caller can act on it.
    """
    try:
        yield
    except (NotConnected, Unanswered) as error:
        raise UpstreamUnavailable(system=system, retry_after_ms=error.retry_after_ms) from error
    except Rejected as error:
        if pass_rejections and error.definite:
            raise
        _log.error("upstream_rejection", system=system, status=error.status, code=error.code)
        raise UpstreamUnavailable(system=system) from error


_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def is_path_segment(id: str) -> bool:
    """Return whether *id* can stand in a path, as every id of the internal systems can."""
    return _SEGMENT.fullmatch(id) is not None


def path_segment(id: str, *, noun: Noun) -> str:
    """Return *id*. Raises NotFound if it cannot stand in a path: no system has such an id."""
    if not is_path_segment(id):
        raise NotFound.of(noun, id=id[:64])
    return id


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def _error_of(body: bytes) -> tuple[str, str]:
    """Return code and text of `{"error": {"code", "message"}}` or `{"code", "message"}`."""
    try:
        content: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(content, dict):
        return "", ""
    fields = cast("dict[str, Any]", content)
    error = fields.get("error")
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else fields
    return _shortened(fields.get("code"), 64), _shortened(fields.get("message"), 200)


def _shortened(value: object, length: int) -> str:
    return value[:length] if isinstance(value, str) else ""
