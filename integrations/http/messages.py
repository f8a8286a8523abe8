"""A request to a counterpart, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One HTTP request: `body` is sent as JSON, `form` URL-encoded, `query` as it is.

    `subject` is the contract, person or payment that the call is about. Failures about a single
    subject open no breaker. It is None where all calls of the operation are the same.

    A request that was sent is repeated only if it is `repeatable`.
    """

    operation: str
    method: str
    path: str = field(repr=False)
    subject: str | None = field(repr=False)
    repeatable: bool = False
    query: str | None = field(default=None, repr=False)
    body: object = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def target(self) -> str:
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def content(self) -> bytes | None:
        if self.form is not None:
            return urlencode(self.form).encode()
        return None if self.body is None else orjson.dumps(self.body)

    def all_headers(self) -> dict[str, str]:
        """Return the own headers with those that describe the content."""
        headers = {"Accept": _JSON}
        if self.body is not None:
            headers["Content-Type"] = _JSON
        elif self.form:
            headers["Content-Type"] = _FORM
        return headers | dict(self.headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with a status below 500."""

    status: int
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300
