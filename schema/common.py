"""What all modules of the API share: scalars, refusals, payloads and the translation of errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, NewType, TypeVar, cast

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from db.engine import UnstorableText
from domain import (
    bills,
    customers,
    gateways,
    hand_ins,
    idempotency,
    limits,
    payments,
    refusals,
    staff,
)
from domain.identifiers import folded
from domain.methods import GatewayName, PaymentMethod
from domain.money import MAX_JSON_INTEGER
from resolvers.context import Context
from resolvers.pages import PageRequest
from schema.graphql.date_time import DATE_TIME
from schema.graphql.errors import ApiError, RequestInfo
from schema.graphql.errors import format_error as format_graphql_error
from schema.graphql.publish import publishes

Info = strawberry.Info[Context, None]
P = TypeVar("P")
T = TypeVar("T")

# ── scalars ──────────────────────────────────────────────────────────────────────────────────────

Amount = NewType("Amount", int)


def _amount(value: object) -> int:
    """Return a JSON integer unchanged. Raises ApiError for a float, a string or anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_JSON_INTEGER:
        raise ApiError(
            "BAD_USER_INPUT",
            vi="Số tiền phải là số nguyên JSON, tính bằng đồng, tối đa 2^53−1.",
            en="An amount is a JSON integer, in đồng, at most 2^53−1.",
        )
    return value


def _amount_literal(node: Any, _variables: object = None) -> int:
    return _amount(int(node.value) if node.kind == "int_value" else None)


Sequence = NewType("Sequence", int)

CONFIG = StrawberryConfig(
    scalar_map={
        datetime: DATE_TIME,
        Sequence: strawberry.scalar(
            name="Sequence",
            description="An increasing row number: a JSON integer up to 2^53−1.",
            serialize=int,
        ),
        Amount: strawberry.scalar(
            name="Amount",
            description="A sum in the currency's minor unit (for VND: đồng): a JSON integer up to"
            " 2^53−1.",
            serialize=_amount,
            parse_value=_amount,
            parse_literal=_amount_literal,
        ),
    }
)


def non_blank(text: str | None) -> str | None:
    """Return the text; None if nothing in it is visible."""
    return text if text and folded(text) else None


def page_request(
    first: int | None, after: str | None, last: int | None, before: str | None
) -> PageRequest:
    """Return a connection's arguments; a blank cursor counts as absent."""
    return PageRequest(first=first, after=non_blank(after), last=last, before=non_blank(before))


# ── enums of the domain ──────────────────────────────────────────────────────────────────────────

strawberry.enum(PaymentMethod, description="How the payer pays.")
strawberry.enum(
    GatewayName,
    name="Gateway",
    description="The payment gateway that takes the money; null for cash.",
)
strawberry.enum(limits.LimitKind)
strawberry.enum(
    refusals.RefusalCode,
    description="Why a request was refused. Codes are stable: clients may rely on them.",
)

# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@strawberry.interface(
    description="A business refusal; nothing was changed. `message` tells the user what to do, in"
    " Vietnamese, or in English by `Accept-Language`."
)
class Refusal:
    code: refusals.RefusalCode

    @strawberry.field
    def message(self, info: Info, root: strawberry.Parent[refusals.Refusal]) -> str:
        return root.text(info.context.language)


@publishes(limits.LimitExceeded)
class LimitExceeded(Refusal):
    kind: limits.LimitKind
    limit: Amount
    requested: Amount
    used: Amount
    reserved: Amount
    remaining: Amount
    resets_at: datetime | None


@publishes(bills.BillLocked)
class BillLocked(Refusal):
    bill_number: strawberry.ID | None
    payment_id: strawberry.ID | None
    held_by: str
    method: PaymentMethod
    until: datetime | None


@publishes(bills.BillAlreadyPaid)
class BillAlreadyPaid(Refusal):
    bill_number: strawberry.ID | None
    paid_at: datetime | None


@publishes(idempotency.IdempotencyKeyReused)
class IdempotencyKeyReused(Refusal):
    payment_id: strawberry.ID | None


@publishes(idempotency.IdempotencyInProgress)
class IdempotencyInProgress(Refusal):
    payment_id: strawberry.ID | None
    retry_after_ms: int | None


@publishes(gateways.GatewayUnavailable)
class GatewayUnavailable(Refusal):
    gateway: GatewayName
    retry_after_ms: int | None
    alternatives: list[PaymentMethod]


@publishes(refusals.InvalidInput)
class InvalidInput(Refusal):
    field: str


@publishes(refusals.NotFound)
class NotFound(Refusal):
    pass


@publishes(bills.AmountMismatch)
class AmountMismatch(Refusal):
    expected: Amount
    requested: Amount


@publishes(customers.ContractInactive)
class ContractInactive(Refusal):
    contract_number: strawberry.ID | None


@publishes(payments.TransitionRefused)
class TransitionRefused(Refusal):
    payment_id: strawberry.ID | None


@publishes(hand_ins.HandInConfirmed)
class HandInConfirmed(Refusal):
    hand_in_id: strawberry.ID
    counted_amount: Amount
    confirmed_at: datetime | None


@publishes(refusals.UpstreamUnavailable)
class UpstreamUnavailable(Refusal):
    system: str
    retry_after_ms: int | None


@publishes(refusals.NotPermitted)
class NotPermitted(Refusal):
    pass


@publishes(staff.InvalidCredentials)
class InvalidCredentials(Refusal):
    pass


REFUSALS: tuple[type, ...] = (
    LimitExceeded,
    BillLocked,
    BillAlreadyPaid,
    IdempotencyKeyReused,
    IdempotencyInProgress,
    GatewayUnavailable,
    InvalidInput,
    NotFound,
    AmountMismatch,
    ContractInactive,
    TransitionRefused,
    HandInConfirmed,
    UpstreamUnavailable,
    NotPermitted,
    InvalidCredentials,
)


class RefusalValue:
    """A refusal that GraphQL may return as a value; a returned exception would count as raised."""

    __slots__ = ("published_value",)

    def __init__(self, refusal: refusals.Refusal) -> None:
        self.published_value = refusal

    def __getattr__(self, name: str) -> object:
        return getattr(self.published_value, name)


def refusal_values(raised: Iterable[refusals.Refusal]) -> list[Refusal]:
    """Return refusals for the field `errors` of a payload."""
    return cast("list[Refusal]", [RefusalValue(refusal) for refusal in raised])


async def with_refusals(work: Awaitable[T]) -> tuple[T | None, list[Refusal]]:
    """Return the result of *work* and no refusals, or None and the refusals that it raised."""
    try:
        return await work, []
    except refusals.Refused as error:
        return None, refusal_values(error.refusals)
    except refusals.Refusal as refusal:
        return None, refusal_values((refusal,))


async def as_payload(payload: Callable[..., P], field: str, work: Awaitable[object]) -> P:
    """Return *payload* with the result of *work* in *field*, or with its refusals."""
    result, errors = await with_refusals(work)
    return payload(**{field: result, "errors": errors})


# ── exceptions ───────────────────────────────────────────────────────────────────────────────────


def translate(error: Exception) -> ApiError | None:
    """Return the API's error for an exception of a lower layer; None for a fault to mask."""
    match error:
        case staff.Unauthenticated():
            return ApiError("UNAUTHENTICATED")
        case staff.TooManyAttempts():
            return ApiError("RATE_LIMITED")
        case staff.Forbidden():
            return ApiError("FORBIDDEN")
        case refusals.Refusal():
            return ApiError(
                error.code, vi=error.text("vi"), en=error.text("en"), details=error.details
            )
        case UnstorableText():
            return ApiError(
                "BAD_USER_INPUT",
                vi="Văn bản chứa ký tự không hợp lệ (U+0000).",
                en="A text holds a character that no text may: U+0000.",
            )
        case _:
            return None


def format_error(error: GraphQLError, context: RequestInfo) -> dict[str, Any]:
    return format_graphql_error(error, context, translate=translate)
