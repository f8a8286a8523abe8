"""What all JSON systems share: bodies, refusals, API keys, and idempotent POSTs."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.store import Store

Json = dict[str, Any]
Answer = tuple[int, Json]
Endpoint = Callable[[Request], Awaitable[Response]]


class Body(BaseModel):
    """A request's body: types are strict (no `"5"` for 5), unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", str_strip_whitespace=True, frozen=True)


B = TypeVar("B", bound=Body)


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"code": code, "message": message, "details": details}}

    @property
    def response(self) -> Response:
        return JSONResponse(self.body, self.status)


def refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response


def http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    code = codes.get(error.status_code, "HTTP_ERROR")
    return JSONResponse(
        {"error": {"code": code, "message": error.detail, "details": {}}},
        error.status_code,
        headers=error.headers,
    )


ERRORS: dict[Any, Callable[[Request, Exception], Response]] = {
    Refused: refused,
    HTTPException: http_error,
}


def unavailable(system: str) -> Response:
    """Return the answer of an internal system that is temporarily unavailable."""
    message = f"{system} takes no requests at the moment"
    response = Refused(503, "SERVICE_UNAVAILABLE", message).response
    response.headers["Retry-After"] = "1"
    return response


def read(model: type[B], raw: bytes) -> B:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(400, "INVALID_JSON", first["msg"]) from None
        field = ".".join(str(part) for part in first["loc"])
        raise Refused(422, "INVALID_INPUT", f"{field}: {first['msg']}", field=field) from None


def equal_in_constant_time(item: str, other: str) -> bool:
    return hmac.compare_digest(item.encode(), other.encode())


class ApiKey:
    """Refuses requests without the system's `X-Api-Key`."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not equal_in_constant_time(
            Request(scope).headers.get("x-api-key", ""), self.key
        ):
            refusal = Refused(401, "UNAUTHENTICATED", "X-Api-Key is missing or wrong")
            await refusal.response(scope, receive, send)
            return
        await self.app(scope, receive, send)


class Idempotency:
    """
    Makes a POST idempotent by its `Idempotency-Key`.

    A repeat gets the first answer unchanged. A refusal is not stored, so the same key may succeed
    later. The effect and its stored answer are one transaction.
    """

    def __init__(self, store: Store, system: str) -> None:
        self.store = store
        self.system = system

    def __call__(self, model: type[B], perform: Callable[[Request, B], Answer]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            key = request.headers.get("idempotency-key", "")
            if not 1 <= len(key) <= 255:
                raise Refused(400, "IDEMPOTENCY_KEY_REQUIRED", "Idempotency-Key is missing")
            raw = await request.body()
            body = read(model, raw)
            fingerprint = hashlib.sha256(
                json.dumps(json.loads(raw), sort_keys=True).encode()
            ).hexdigest()
            path = request.url.path
            first = self.store.fetch_row(
                "select * from answers where system = ? and path = ? and key = ?",
                self.system, path, key,
            )  # fmt: skip
            if first is not None:
                if first["fingerprint"] != fingerprint:
                    raise Refused(
                        409, "IDEMPOTENCY_KEY_REUSED", "this key was first sent with another body"
                    )
                return Response(
                    first["body"],
                    first["status"],
                    {"Idempotent-Replayed": "true"},
                    "application/json",
                )
            with self.store.transaction():
                try:
                    status, answer = perform(request, body)
                except Refused as refusal:
                    # A refusal has no effect, but a conflict that it noted is stored.
                    return refusal.response
                response = JSONResponse(answer, status)
                self.store.execute(
                    "insert into answers values (?, ?, ?, ?, ?, ?)",
                    self.system, path, key, fingerprint, status, bytes(response.body).decode(),
                )  # fmt: skip
            return response

        return endpoint
