"""The shapes of what others send: strictly what was agreed, or it is unreadable."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar, cast

import orjson
import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.money import LARGEST
from domain.refusals import NotFound, UpstreamUnavailable
from domain.reversals import Reversal
from integrations.http.client import Answer, NotSent, Unanswered, Unreadable, Unusable
from integrations.http.json_text import Number, decode

_log = structlog.stdlib.get_logger("integrations.http.client.parsing")

Amount = Annotated[int, Field(ge=0, le=LARGEST)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


def _unless_empty(value: object) -> object:
    return None if value == "" else value


EMPTY_IS_ABSENT = BeforeValidator(_unless_empty)
"""For what may be left out: an empty text says no more than none."""


class Wire(BaseModel):
    """A number is a number and no `"5"`, `5.0` or `true`; what we don't know is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


W = TypeVar("W", bound=Wire)


def parse(model: type[W], body: bytes) -> W:
    """Return *body* as the model says, or raise Unreadable, naming the place and not the value."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _unreadable(error) from None


def shaped(model: type[W], value: object) -> W:
    """Return decoded JSON as the model says, or raise Unreadable as `parse` does."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _unreadable(error) from None


def parse_as_written(model: type[W], body: bytes) -> W:
    """Return *body* as the model says, with each sum as its gateway wrote it. Raises Unreadable."""
    try:
        value = decode(body, constant=Number)
    except ValueError:
        raise Unreadable("body: json_invalid") from None
    return shaped(model, value)


def _unreadable(error: ValidationError) -> Unreadable:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    return Unreadable(f"{place}: {first['type']}")


class Rejected(Exception):
    """A 4xx: `code` and `text` are the counterpart's own where it gave any."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.text = text

    @property
    def definite(self) -> bool:
        """Whether it is about what was asked, so that asking again would change nothing."""
        return self.status not in _NOT_ABOUT_THE_REQUEST


# Our key, our pace, or an earlier try that is still running.
_NOT_ABOUT_THE_REQUEST = frozenset({401, 403, 407, 408, 425, 429})


def expect(model: type[W], answer: Answer) -> W:
    """Return a 2xx answer as the model says; raise Rejected for a 4xx, Unreadable for the rest."""
    if answer.ok:
        return parse(model, answer.body)
    raise rejected(answer)


def accepted(answer: Answer) -> None:
    """Read the answer to what needs no more than a yes."""
    if not answer.ok:
        raise rejected(answer)


def told_of(reversal: Reversal) -> dict[str, object]:
    """Return what Revenue and Debt are told of a reversal: the same body to both."""
    return {
        "transaction_id": reversal.payment_id,
        "reversal_id": reversal.id,
        "kind": reversal.kind.lower(),
        "amount": reversal.amount,
        "reason": reversal.reason,
    }


def unusable(answer: Answer) -> Unreadable:
    """Return that a status settles nothing; a 4xx in JSON is their own word, which no breaker counts."""
    theirs = 400 <= answer.status < 500 and _is_object(answer.body)
    return (Unusable if theirs else Unreadable)(f"status {answer.status}")


def rejected(answer: Answer) -> Rejected:
    """Return the 4xx as an exception; raise Unreadable for what is neither 2xx nor 4xx."""
    if answer.status < 400:
        raise Unreadable(f"status {answer.status}")
    code, text = _told(answer.body)
    return Rejected(answer.status, code or f"HTTP_{answer.status}", text)


@contextmanager
def or_unavailable(system: str, *, keep_rejections: bool = False) -> Generator[None]:
    """
    Turn every failure to ask *system* into UpstreamUnavailable.

    With `keep_rejections` a definite no comes through as Rejected: the caller can act on it.
    """
    try:
        yield
    except (NotSent, Unanswered) as failure:
        raise UpstreamUnavailable(system=system, retry_after_ms=failure.retry_after_ms) from failure
    except Rejected as no:
        if keep_rejections and no.definite:
            raise
        _log.error("upstream_will_not", system=system, status=no.status, code=no.code)
        raise UpstreamUnavailable(system=system) from no


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def is_segment(id: str) -> bool:
    """Return whether *id* can stand in a path, as every id of theirs can."""
    return _NAME.fullmatch(id) is not None


def segment(id: str, *, what_vi: str, what_en: str) -> str:
    """Return *id*, which can stand in a path; anything else exists nowhere: NotFound."""
    if not is_segment(id):
        raise NotFound(what_vi=what_vi, what_en=what_en, id=id[:64])
    return id


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def _told(body: bytes) -> tuple[str, str]:
    """The code and text of `{"error": {"code", "message"}}` or `{"code", "message"}`."""
    try:
        told: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if isinstance(told, dict):
        fields = cast("dict[str, Any]", told)
        inner = fields.get("error")
        fields = cast("dict[str, Any]", inner) if isinstance(inner, dict) else fields
        return _short(fields.get("code"), 64), _short(fields.get("message"), 200)
    return "", ""


def _short(value: object, length: int) -> str:
    return value[:length] if isinstance(value, str) else ""
