"""Which gateway takes a payment, and what to use when it can't."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import cast

import structlog

from domain.attempts import Failure
from domain.calendar import business_date
from domain.gateways import Gateway, GatewayUnavailable
from domain.methods import GATEWAY_OF, STAFF_MONEY, GatewayName, PaymentMethod
from domain.money import Money, Rate
from domain.payments import Payment
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# A FAILED payment with this code was never taken by its gateway: another method may work.
UNAVAILABLE = "GATEWAY_UNAVAILABLE"
_STOPPED = "stopped by the breaker"


async def ready(context: Context, method: PaymentMethod, *, order: bool) -> Gateway | None:
    """
    Return the gateway that *method* goes through, None for cash. Raises GatewayUnavailable.

    `order` tells whether a merchant's order is to be paid: it takes no staff money.
    """
    name = GATEWAY_OF[method]
    if name is None:
        return None
    gateway = context.gateways.for_method(method)
    if gateway is not None and gateway.ready():
        return gateway
    retry_after_ms = None if gateway is None else gateway.retry_after_ms()
    refusal = _unavailable(context, method, name, await context.clock(), order=order)
    raise replace(refusal, retry_after_ms=retry_after_ms)


def charged(
    context: Context,
    gateway: Gateway,
    money: Money,
    now: datetime,
    *,
    method: PaymentMethod,
    order: bool,
) -> Money:
    """
    Return what the gateway is to be asked for: PayPal takes no đồng, and is asked for dollars.

    Raises GatewayUnavailable where the rate is too old to charge by.
    """
    if gateway.name is not GatewayName.PAYPAL:
        return money
    rate = _rate(context, now)
    if rate is None:
        known = context.terms.usd_rate
        log.error("dollar rate too old", day=known and known.day.isoformat())
        raise _unavailable(context, method, gateway.name, now, order=order)
    return rate.dollars(money)


async def unavailable(context: Context, payment: Payment) -> GatewayUnavailable:
    """Return that the gateway of a payment can't be used now, and what can instead."""
    assert payment.gateway is not None, "cash goes through none"
    now, order = await context.clock(), payment.order is not None
    return _unavailable(context, payment.method, payment.gateway, now, order=order)


async def not_sent(context: Context, payment: Payment, stopped: GatewayUnavailable) -> Failure:
    """Return why a payment failed that no gateway ever heard of; this request's answer says when to retry."""
    context.memo[f"{_STOPPED}:{payment.id}"] = stopped.retry_after_ms
    refusal = await unavailable(context, payment)
    return Failure(code=UNAVAILABLE, message=refusal.say("vi"))


def notify_url(context: Context, name: GatewayName) -> str:
    """Return where the gateway is to call us."""
    return f"{context.terms.public_url}/webhooks/{context.gateways[name].paths[0]}"


async def why_unavailable(context: Context, payment: Payment) -> list[GatewayUnavailable]:
    """Return, beside a payment that its gateway never took, what to use instead."""
    failed = payment.failure
    if failed is None or failed.code != UNAVAILABLE or payment.gateway is None:
        return []
    retry_after_ms = cast("int | None", context.memo.get(f"{_STOPPED}:{payment.id}"))
    gateway = context.gateways.get(payment.gateway)
    if retry_after_ms is None and gateway is not None:
        retry_after_ms = gateway.retry_after_ms()
    return [replace(await unavailable(context, payment), retry_after_ms=retry_after_ms)]


def _unavailable(
    context: Context,
    method: PaymentMethod,
    name: GatewayName,
    now: datetime,
    *,
    order: bool,
) -> GatewayUnavailable:
    useless = set(STAFF_MONEY) if order else set[PaymentMethod]()
    if _rate(context, now) is None:
        useless.add(PaymentMethod.PAYPAL)
    working = context.gateways.alternatives(method)
    return GatewayUnavailable(
        gateway=name,
        alternatives=tuple(item for item in working if item not in useless),
    )


def _rate(context: Context, now: datetime) -> Rate | None:
    """Return what a dollar costs; None where what we know is too old to charge by."""
    rate = context.terms.usd_rate
    return rate if rate is not None and rate.is_good(business_date(now)) else None
