"""Actors: staff, merchants and services, what each may do, and whose records each sees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from domain.refusals import Refusal, RefusalCode


class Role(StrEnum):
    """The first six roles are Staff Management's; the last two belong to programs."""

    TIN_PNC = "TIN_PNC"
    SUPERVISOR = "SUPERVISOR"
    CASHIER = "CASHIER"
    FINANCE = "FINANCE"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"
    MERCHANT = "MERCHANT"
    SERVICE = "SERVICE"


class Permission(StrEnum):
    PAYMENT_PROCESSING = "payment_processing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of staff, as Staff Management answers."""

    staff_id: str
    name: str
    role: Role
    permissions: tuple[str, ...] = ()
    team: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a request, proved by a token; `logout` ends `session`."""

    id: str
    name: str
    role: Role
    permissions: tuple[str, ...] = ()
    team: str | None = None
    session: str | None = None


class Operation(StrEnum):
    """An operation that needs a permission; ROLES_FOR says who has it, docs/money-rules.md why."""

    READ_CUSTOMER = "read customers and bills"
    READ_PAYMENT = "read payments"
    READ_LIMIT = "read limits"
    COLLECT = "take payments"
    FOLLOW_UP = "inquire about a payment"
    CANCEL = "cancel payments"
    SUBMIT_HAND_IN = "hand in cash"
    CONFIRM_HAND_IN = "count cash that is handed in"
    READ_HAND_INS = "read hand-ins"
    READ_DAY_CLOSE = "read the close of a day"
    READ_LEDGER = "read the ledger"
    READ_INVARIANTS = "read the results of the invariant checks"
    READ_TIMELINE = "read the timeline of a payment"
    SELL = "create and pay orders"
    READ_ORDER = "read orders"
    READ_WEBHOOKS = "read gateways' calls"
    READ_RAW_WEBHOOKS = "read gateways' raw calls"
    REPLAY_WEBHOOK = "replay a gateway's call"
    READ_CASES = "read cases"
    RESOLVE_CASE = "resolve cases"
    READ_RECONCILIATION = "read reconciliations"
    VOID = "void cash"
    REFUND = "refund money"


_COLLECTS = frozenset({Role.TIN_PNC, Role.SUPERVISOR})
_OFFICE = frozenset({Role.FINANCE, Role.ADMIN, Role.AUDITOR})
_LOOKS_ON = _OFFICE | {Role.SERVICE}

ROLES_FOR: dict[Operation, frozenset[Role]] = {
    Operation.READ_CUSTOMER: _COLLECTS | _OFFICE,
    Operation.READ_PAYMENT: _COLLECTS | _OFFICE | {Role.CASHIER, Role.SERVICE, Role.MERCHANT},
    Operation.READ_LIMIT: _COLLECTS | _OFFICE | {Role.CASHIER, Role.SERVICE},
    Operation.COLLECT: _COLLECTS,
    Operation.SUBMIT_HAND_IN: _COLLECTS,
    Operation.CONFIRM_HAND_IN: frozenset({Role.CASHIER}),
    Operation.READ_HAND_INS: _COLLECTS | _LOOKS_ON | {Role.CASHIER},
    Operation.READ_DAY_CLOSE: _COLLECTS | _LOOKS_ON | {Role.CASHIER},
    Operation.READ_LEDGER: _LOOKS_ON,
    Operation.READ_INVARIANTS: _LOOKS_ON,
    Operation.READ_TIMELINE: _LOOKS_ON | {Role.SUPERVISOR},
    Operation.FOLLOW_UP: _COLLECTS | {Role.FINANCE, Role.ADMIN, Role.MERCHANT},
    Operation.CANCEL: _COLLECTS | {Role.ADMIN, Role.MERCHANT},
    Operation.SELL: frozenset({Role.MERCHANT}),
    Operation.READ_WEBHOOKS: _OFFICE,
    Operation.READ_RAW_WEBHOOKS: frozenset({Role.AUDITOR}),
    Operation.REPLAY_WEBHOOK: frozenset({Role.FINANCE, Role.ADMIN}),
    Operation.READ_ORDER: _OFFICE | {Role.MERCHANT, Role.SERVICE},
    Operation.READ_CASES: _LOOKS_ON | {Role.SUPERVISOR},
    Operation.RESOLVE_CASE: frozenset({Role.FINANCE}),
    Operation.READ_RECONCILIATION: _LOOKS_ON,
    Operation.VOID: _COLLECTS,
    Operation.REFUND: frozenset({Role.FINANCE}),
}

# Operations that need a permission of Staff Management besides the role.
PERMISSION_FOR: dict[Operation, Permission] = {Operation.COLLECT: Permission.PAYMENT_PROCESSING}


class Unauthenticated(Exception):
    """There is no token, or it is expired, forged or ended by a logout."""


class TooManyAttempts(Exception):
    """There were too many wrong passwords in a minute."""


class Forbidden(Exception):
    """The actor's role or permissions do not cover the operation."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(f"the actor may not {operation}")
        self.operation = operation


def may(actor: Actor | None, operation: Operation) -> bool:
    """Return whether the actor's role covers *operation*; used to omit data without a refusal."""
    return actor is not None and actor.role in ROLES_FOR[operation]


def check(actor: Actor | None, operation: Operation) -> Actor:
    """Return the actor if it may do *operation*. Raises Unauthenticated or Forbidden."""
    if actor is None:
        raise Unauthenticated
    if actor.role not in ROLES_FOR[operation]:
        raise Forbidden(operation)
    needed = PERMISSION_FOR.get(operation)
    if needed is not None and needed not in actor.permissions:
        raise Forbidden(operation)
    return actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose records an actor sees: one person's, a team's, or everyone's if both are None."""

    staff_id: str | None = None
    team: str | None = None

    def covers(self, *, staff_id: str | None, team: str | None) -> bool:
        """Return whether a record of this person and team is visible."""
        if self.staff_id is not None:
            return staff_id == self.staff_id
        return self.team is None or team == self.team


def scope(actor: Actor) -> Scope:
    """Return the scope of *actor*; records outside of it are NotFound."""
    match actor.role:
        case Role.TIN_PNC | Role.MERCHANT:
            return Scope(staff_id=actor.id)
        case Role.SUPERVISOR:
            return Scope(team=actor.team)
        case Role.CASHIER | Role.FINANCE | Role.ADMIN | Role.AUDITOR | Role.SERVICE:
            return Scope()
        case _:
            assert_never(actor.role)


@dataclass(eq=False, kw_only=True)
class InvalidCredentials(Refusal):
    code = RefusalCode.INVALID_CREDENTIALS
    vi = "Mã nhân viên hoặc mật khẩu không đúng, hoặc phiên đã hết. Hãy đăng nhập lại."
    en = "The staff number or password is wrong, or the session has ended. Log in again."
