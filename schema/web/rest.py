"""The REST API: it calls the same functions as GraphQL, and returns the same codes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from domain.idempotency import check_key
from domain.methods import PaymentMethod
from domain.orders import PayOrder
from domain.refusals import InvalidInput, Refusal, Refused
from domain.sentences import InputProblem
from domain.staff import Operation, check
from resolvers import orders
from resolvers.audit import audited
from resolvers.context import Context
from schema.authorization import bearer_challenge
from schema.common import translate
from schema.graphql.admission import Lane, Overloaded
from schema.graphql.card_numbers import check_no_card_number
from schema.graphql.errors import TEXTS, ApiError
from schema.graphql.http import language_of
from schema.graphql.request import is_absent
from schema.web.identity import http_context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")
STATUSES = {
    "BAD_USER_INPUT": 400,
    "INVALID_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "INVALID_CREDENTIALS": 401,
    "FORBIDDEN": 403,
    "NOT_PERMITTED": 403,
    "NOT_FOUND": 404,
    "BILL_LOCKED": 409,
    "BILL_ALREADY_PAID": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "TRANSITION_REFUSED": 409,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "PAYMENT_LIMIT_EXCEEDED": 422,
    "AMOUNT_MISMATCH": 422,
    "CONTRACT_INACTIVE": 422,
    "RATE_LIMITED": 429,
    "GATEWAY_UNAVAILABLE": 503,
    "UPSTREAM_UNAVAILABLE": 503,
    "OVERLOADED": 503,
}

RestOperation = Callable[[Context, dict[str, Any], str], Awaitable[tuple[int, dict[str, Any]]]]


Endpoint = Callable[[Request], Awaitable[Response]]


def admitted(endpoint: Endpoint, lane: Lane) -> Endpoint:
    """Make an endpoint wait in *lane*; it answers 503 and `Retry-After` if it finds no place."""

    async def wait(request: Request) -> Response:
        try:
            await lane.enter()
        except Overloaded as error:
            message = error.text(language_of(request.headers))
            return Response(
                orjson.dumps({"error": {"code": error.code, "message": message}}),
                503,
                media_type="application/json",
                headers={"cache-control": "no-store", "retry-after": error.retry_after},
            )
        try:
            return await endpoint(request)
        finally:
            lane.leave()

    return wait


def rest(operation: RestOperation, lane: Lane) -> Endpoint:
    """Make an endpoint of an operation from (context, body, idempotency key) to (status, reply)."""

    async def endpoint(request: Request) -> Response:
        context = await http_context(request)
        try:
            body = await _body(request)
            header = request.headers.get("idempotency-key")
            check_no_card_number([body, header])
            # Without a key, an order's one live payment still prevents a second one.
            key = context.ids.secret() if header is None else _key(header)
            status, reply = await operation(context, body, key)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            status, reply = _error_reply(error, context)
        headers = {"cache-control": "no-store"}
        if status == 401:
            headers["www-authenticate"] = bearer_challenge(request.headers.get("authorization", ""))
        return Response(orjson.dumps(reply), status, media_type="application/json", headers=headers)

    return admitted(endpoint, lane)


async def pay_order(context: Context, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
    """Serve `POST /payments`: pay an order by the merchant's reference; create it if it is new."""
    command = await _pay_order_command(context, body, key)
    payment = (await orders.pay(context, command)).payment
    assert payment.order is not None
    return 201, {
        "transaction_id": payment.id,
        "order_id": payment.order.reference,
        "amount": payment.amount,
        "method": payment.method.lower(),
        "status": payment.status.lower(),
        "payment_url": payment.payment_url,
        "confirmation_link": context.confirmation_link(payment.receipt_token),
    }


@audited(orders.PAY)
async def _pay_order_command(context: Context, body: dict[str, Any], key: str) -> PayOrder:
    """Return the merchant's command; a refusal here is audited like one of the resolver."""
    check(context.actor, Operation.SELL)
    reference, amount, method = _order(body)
    return PayOrder(
        idempotency_key=check_key(key),
        reference=reference,
        amount=amount,
        method=method,
        return_url=None if is_absent(body.get("return_url")) else _text(body, "return_url"),
    )


async def http_error(request: Request, error: Exception) -> Response:
    """Serve the error for an unknown path, or for a method that it does not allow."""
    assert isinstance(error, HTTPException)
    code, (vi, en) = "NOT_FOUND", TEXTS["NOT_FOUND"]
    if allowed := (error.headers or {}).get("Allow"):
        code = "BAD_USER_INPUT"
        vi = f"Địa chỉ này không nhận {request.method}. Hãy dùng: {allowed}."
        en = f"{request.method} is not possible here. Use one of: {allowed}."
    message = en if language_of(request.headers) == "en" else vi
    return Response(
        orjson.dumps({"error": {"code": code, "message": message}}),
        error.status_code,
        media_type="application/json",
        headers={"cache-control": "no-store", **(error.headers or {})},
    )


def _order(body: dict[str, Any]) -> tuple[str, int, PaymentMethod]:
    amount = body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidInput.because(InputProblem.NOT_WHOLE, field="amount")
    method = _text(body, "method").upper()
    if method not in PaymentMethod.__members__:
        known = ", ".join(name.lower() for name in PaymentMethod)
        raise InvalidInput.because(InputProblem.NOT_ONE_OF, field="method", known=known)
    return _text(body, "order_id"), amount, PaymentMethod(method)


def _key(header: str) -> str:
    """Return the key of an `Idempotency-Key`: the plain text, or a quoted string of RFC 8941."""
    if not header.startswith('"'):
        return header
    quoted = _QUOTED.fullmatch(header)
    if quoted is None:
        raise InvalidInput.because(InputProblem.QUOTED_KEY, field="idempotencyKey")
    return _ESCAPED.sub(r"\1", quoted[1])


def _text(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidInput.because(InputProblem.MISSING_TEXT, field=field)
    return value


async def _body(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(
                "BAD_USER_INPUT",
                vi=f"Nội dung vượt quá {MAX_BODY_BYTES} byte.",
                en=f"The body exceeds {MAX_BODY_BYTES} bytes.",
            )
    try:
        members: object = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        members = None
    if not isinstance(members, dict):
        raise ApiError(
            "BAD_USER_INPUT",
            vi="Nội dung phải là một đối tượng JSON.",
            en="The body must be a JSON object.",
        )
    return cast("dict[str, Any]", members)


def _error_reply(error: Exception, context: Context) -> tuple[int, dict[str, Any]]:
    first = error.refusals[0] if isinstance(error, Refused) else error
    api_error = first if isinstance(first, ApiError) else translate(first)
    if api_error is None:
        fault_id = context.ids.record("FAULT")
        log.error("fault", id=fault_id, exc_info=error)
        api_error = ApiError("INTERNAL", details={"id": fault_id})
    reply: dict[str, Any] = {"code": api_error.code, "message": api_error.text(context.language)}
    details = first.details if isinstance(first, Refusal) else api_error.details
    if details:
        reply["details"] = details
    return STATUSES.get(api_error.code, 500), {"error": reply}
