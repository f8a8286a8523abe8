"""
Faults planted in a process, which prove that the harness finds such a fault.

What the database itself refuses, such as a success without postings, cannot be planted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest import mock

from db import jobs as queue
from domain.gateways import Purchase
from resolvers import gateways, payment_opening, payments
from resolvers.context import Context


@contextmanager
def jobs_after_the_commit() -> Generator[None]:
    """Enqueue the jobs of a success in a transaction of their own; a crash between loses them."""
    late: list[Any] = []
    open_payment, record_transitions = payments._open, payments.record_transitions

    async def open_and_enqueue(*args: Any) -> Any:
        done = await open_payment(*args)
        async with payments.transaction():
            await queue.enqueue(late)
        return done

    async def record_without_jobs(context: Context, *transitions: Any, new_jobs: Any) -> None:
        await record_transitions(context, *transitions)
        late.extend(new_jobs)

    with (
        mock.patch.object(payments, "_open", open_and_enqueue),
        mock.patch.object(payments, "record_transitions", record_without_jobs),
    ):
        yield


@contextmanager
def charge_before_the_commit() -> Generator[None]:
    """Call the gateway before the payment is committed; a crash between loses the charge."""
    new, attempts = payments._new, payment_opening.attempts
    seen: dict[str, Any] = {}

    def remember(context: Context, payment_id: str, checked: Any, gateway: Any, now: Any):
        seen.update(context=context, gateway=gateway)
        seen["payment"] = new(context, payment_id, checked, gateway, now)
        return seen["payment"]

    async def add_and_start(attempt: Any) -> None:
        await attempts.add(attempt)
        context, gateway, payment = seen["context"], seen["gateway"], seen["payment"]
        purchase = Purchase(
            description="Thanh toan",
            customer_name=payment.customer_name,
            customer_phone=None,
            client_ip=context.client_ip,
            return_url=context.confirmation_link(payment.receipt_token),
            notify_url=gateways.notify_url(context, gateway.name),
        )
        await gateway.start(attempt, purchase, now=attempt.created_at)

    with (
        mock.patch.object(payments, "_new", remember),
        mock.patch.object(
            payment_opening, "attempts", mock.Mock(wraps=attempts, add=add_and_start)
        ),
    ):
        yield


PLANTED_FAULTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "": nullcontext,
    "jobs after the commit": jobs_after_the_commit,
    "charge before the commit": charge_before_the_commit,
}
