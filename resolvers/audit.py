"""Auditing of commands: a refused or failed command leaves a row, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from db import audit
from db.audit import AuditEvent, AuditOutcome
from domain.refusals import Refusal, Refused
from domain.staff import Forbidden, TooManyAttempts, Unauthenticated
from resolvers.context import Context

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Context, P], Awaitable[T]]

MAX_NAME_LENGTH = 64


def audited(
    action: str, *, requester: str | None = None
) -> Callable[[Operation[P, T]], Operation[P, T]]:
    """
    Write an audit row for a command that ends in a refusal, a Forbidden or a fault, and re-raise.

    A command that succeeds writes its own row in its transaction. *requester* names the argument
    with the id of the requester, for a command that has no token.
    """

    def decorate(operation: Operation[P, T]) -> Operation[P, T]:
        @wraps(operation)
        async def run(context: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await operation(context, *args, **kwargs)
            except (Unauthenticated, TooManyAttempts):
                # Anonymous requests are not audited: they could flood the log.
                raise
            except (Refused, Refusal, Forbidden) as refusal:
                name = _requester(kwargs, requester)
                await _append(context, action, AuditOutcome.REFUSED, _codes(refusal), name)
                raise
            except Exception as error:
                name = _requester(kwargs, requester)
                await _append(context, action, AuditOutcome.FAILED, type(error).__name__, name)
                raise

        return run

    return decorate


def _requester(arguments: Mapping[str, object], argument: str | None) -> str | None:
    """Return the named argument as the audit log can hold it."""
    if argument is None:
        return None
    return str(arguments.get(argument, ""))[:MAX_NAME_LENGTH].replace("\0", "")


async def _append(
    context: Context, action: str, outcome: AuditOutcome, why: str, requester: str | None
) -> None:
    await audit.append(
        AuditEvent(
            at=await context.clock(),
            actor=context.actor_id,
            action=action,
            outcome=outcome,
            request_id=context.request_id,
            details={"why": why, "who": requester},
        )
    )


def _codes(refusal: Exception) -> str:
    match refusal:
        case Refused(refusals=refusals):
            return ",".join(refusal.code for refusal in refusals)
        case Refusal(code=code):
            return code
        case _:
            return "FORBIDDEN"
