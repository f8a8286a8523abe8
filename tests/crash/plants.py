"""
Faults planted in a victim, to prove that what is looked for would be found. None is ever in the code itself.

What the database itself makes impossible (a success without its postings) can't be planted.
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
    """Enqueue what follows a success in a transaction of its own: a crash between loses it."""
    late: list[Any] = []
    open_payment = payments._open

    async def promised(*args: Any) -> Any:
        done = await open_payment(*args)
        async with payments.transaction():
            await queue.enqueue(late)
        return done

    async def only_once_it_is_committed(several: Any) -> None:
        late.extend(several)

    with (
        mock.patch.object(payments, "_open", promised),
        mock.patch.object(payments, "jobs", mock.Mock(enqueue=only_once_it_is_committed)),
    ):
        yield


@contextmanager
def charge_before_the_commit() -> Generator[None]:
    """Ask the gateway while the promise is still uncommitted: a crash between loses the charge."""
    new, attempts = payments._new, payment_opening.attempts
    seen: dict[str, Any] = {}

    def remembered(context: Context, actor: Any, asked: Any, customer: Any, gateway: Any, now: Any):
        seen.update(context=context, gateway=gateway)
        seen["payment"] = new(context, actor, asked, customer, gateway, now)
        return seen["payment"]

    async def asked_first(attempt: Any) -> None:
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
        mock.patch.object(payments, "_new", remembered),
        mock.patch.object(payment_opening, "attempts", mock.Mock(wraps=attempts, add=asked_first)),
    ):
        yield


PLANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "": nullcontext,
    "jobs after the commit": jobs_after_the_commit,
    "charge before the commit": charge_before_the_commit,
}
