"""What every noun of the API shares: amounts, refusals, payloads, and what becomes of an exception."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, NewType, TypeVar, cast

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from db.engine import NotText
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
from domain.methods import GatewayName, PaymentMethod
from domain.money import LARGEST
from resolvers.context import Context
from schema.graphql.errors import ApiError, Speaks
from schema.graphql.errors import format_error as format_any
from schema.graphql.publish import shows
from schema.moments import DATE_TIME

Info = strawberry.Info[Context, None]
P = TypeVar("P")
T = TypeVar("T")

# ── amounts ──────────────────────────────────────────────────────────────────────────────────────

Amount = NewType("Amount", int)


def _amount(value: object) -> int:
    """Take a JSON integer; no float, exponent, string or separator is ever an amount."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise ApiError(
            "BAD_USER_INPUT",
            vi="Số tiền phải là số nguyên JSON, tính bằng đồng, tối đa 2^53−1.",
            en="An amount is a JSON integer, in đồng, at most 2^53−1.",
        )
    return value


def _literal(node: Any, _variables: object = None) -> int:
    if node.kind != "int_value":
        return _amount(None)
    return _amount(int(node.value))


Sequence = NewType("Sequence", int)

CONFIG = StrawberryConfig(
    scalar_map={
        datetime: DATE_TIME,
        Sequence: strawberry.scalar(
            name="Sequence",
            description="A row's number: a JSON integer up to 2^53−1, which only grows.",
            serialize=int,
        ),
        Amount: strawberry.scalar(
            name="Amount",
            description="Whole units of the currency's minor unit (VND has none): a JSON integer up"
            " to 2^53−1.",
            serialize=_amount,
            parse_value=_amount,
            parse_literal=_literal,
        ),
    }
)


def given(text: str | None) -> str | None:
    """Return an optional text; an empty one counts as absent."""
    return text or None


# ── the domain's names, published ────────────────────────────────────────────────────────────────

strawberry.enum(PaymentMethod, description="How a payment is made.")
strawberry.enum(GatewayName, name="Gateway", description="Through whom; null for cash.")
strawberry.enum(limits.LimitKind)
strawberry.enum(
    refusals.RefusalCode, description="Why the business said no. A client may rely on these."
)

# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@strawberry.interface(
    description="The request was understood and declined; nothing was changed. `message` says what to"
    " do, in Vietnamese, or in English by `Accept-Language`."
)
class Refusal:
    code: refusals.RefusalCode

    @strawberry.field
    def message(self, info: Info, root: strawberry.Parent[refusals.Refusal]) -> str:
        return root.say(info.context.language)


@shows(limits.LimitExceeded)
class LimitExceeded(Refusal):
    kind: limits.LimitKind
    limit: Amount
    requested: Amount
    used: Amount
    reserved: Amount
    remaining: Amount
    resets_at: datetime | None


@shows(bills.BillLocked)
class BillLocked(Refusal):
    bill_number: strawberry.ID | None
    payment_id: strawberry.ID | None
    held_by: str
    method: PaymentMethod
    until: datetime | None


@shows(bills.BillAlreadyPaid)
class BillAlreadyPaid(Refusal):
    bill_number: strawberry.ID | None
    paid_at: datetime | None


@shows(idempotency.IdempotencyKeyReused)
class IdempotencyKeyReused(Refusal):
    payment_id: strawberry.ID | None


@shows(idempotency.IdempotencyInProgress)
class IdempotencyInProgress(Refusal):
    payment_id: strawberry.ID | None
    retry_after_ms: int | None


@shows(gateways.GatewayUnavailable)
class GatewayUnavailable(Refusal):
    gateway: GatewayName
    retry_after_ms: int | None
    alternatives: list[PaymentMethod]


@shows(refusals.InvalidInput)
class InvalidInput(Refusal):
    field: str


@shows(refusals.NotFound)
class NotFound(Refusal):
    pass


@shows(bills.AmountMismatch)
class AmountMismatch(Refusal):
    expected: Amount
    requested: Amount


@shows(customers.ContractInactive)
class ContractInactive(Refusal):
    contract_number: strawberry.ID | None


@shows(payments.TransitionRefused)
class TransitionRefused(Refusal):
    payment_id: strawberry.ID | None


@shows(hand_ins.HandInConfirmed)
class HandInConfirmed(Refusal):
    hand_in_id: strawberry.ID
    counted_amount: Amount
    confirmed_at: datetime | None


@shows(refusals.UpstreamUnavailable)
class UpstreamUnavailable(Refusal):
    system: str
    retry_after_ms: int | None


@shows(refusals.NotPermitted)
class NotPermitted(Refusal):
    pass


@shows(staff.InvalidCredentials)
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


class Said:
    """A refusal as a value: GraphQL takes an exception that is returned for one that was raised."""

    __slots__ = ("shown",)

    def __init__(self, shown: refusals.Refusal) -> None:
        self.shown = shown

    def __getattr__(self, name: str) -> object:
        return getattr(self.shown, name)


def said(no: Iterable[refusals.Refusal]) -> list[Refusal]:
    """Return refusals as a payload carries them."""
    return cast("list[Refusal]", [Said(refusal) for refusal in no])


async def attempted(work: Awaitable[T]) -> tuple[T | None, list[Refusal]]:
    """Return what *work* gives, or the refusals it ends in, as a payload carries them."""
    try:
        return await work, []
    except refusals.Refused as several:
        no = several.refusals
    except refusals.Refusal as one:
        no = (one,)
    return None, said(no)


async def answered(payload: Callable[..., P], name: str, work: Awaitable[object]) -> P:
    """Return *payload* with what *work* gives as its field *name*, or with the refusals it ends in."""
    done, errors = await attempted(work)
    return payload(**{name: done, "errors": errors})


# ── exceptions ───────────────────────────────────────────────────────────────────────────────────


def translate(cause: Exception) -> ApiError | None:
    """Say in the API's terms what another floor raised; None for a fault, which is masked."""
    match cause:
        case staff.Unauthenticated():
            return ApiError("UNAUTHENTICATED")
        case staff.TooManyTries():
            return ApiError("RATE_LIMITED")
        case staff.Forbidden():
            return ApiError("FORBIDDEN")
        case refusals.Refusal():
            return ApiError(
                cause.code, vi=cause.say("vi"), en=cause.say("en"), details=cause.details
            )
        case NotText():
            return ApiError(
                "BAD_USER_INPUT",
                vi="Văn bản chứa ký tự không hợp lệ (U+0000).",
                en="A text holds a character that no text may: U+0000.",
            )
        case _:
            return None


def format_error(error: GraphQLError, context: Speaks) -> dict[str, Any]:
    return format_any(error, context, translate=translate)
