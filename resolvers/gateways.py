"""Which gateway takes a payment, and which methods to use instead when it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from domain.attempts import Failure
from domain.calendar import business_date
from domain.gateways import Gateway, GatewayUnavailable
from domain.methods import GATEWAY_OF, STAFF_MONEY, GatewayName, PaymentMethod
from domain.money import Money, Rate
from domain.payments import Payment
from resolvers.attempts import attempt_of
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# The failure code of a payment that its gateway never took: another method may work.
UNAVAILABLE = "GATEWAY_UNAVAILABLE"


async def ready_gateway(context: Context, method: PaymentMethod, *, order: bool) -> Gateway | None:
    """
    Return the gateway of *method*, None for cash. Raises GatewayUnavailable.

    `order` is true where a merchant's order is to be paid, which takes no staff money.
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


def gateway_charge(
    context: Context,
    gateway: Gateway,
    money: Money,
    now: datetime,
    *,
    method: PaymentMethod,
    order: bool,
) -> Money:
    """
    Return the sum to request from the gateway: dollars for PayPal, which takes no đồng.

    Raises GatewayUnavailable where the exchange rate is too old.
    """
    if gateway.name is not GatewayName.PAYPAL:
        return money
    rate = _rate(context, now)
    if rate is None:
        known = context.terms.usd_rate
        log.error("dollar_rate_too_old", day=known and known.day.isoformat())
        raise _unavailable(context, method, gateway.name, now, order=order)
    return rate.dollars(money)


async def not_sent_failure(context: Context, payment: Payment) -> Failure:
    """Return the failure of a payment that was never sent, because the breaker was open."""
    refusal = await _unavailable_for(context, payment)
    return Failure(code=UNAVAILABLE, message=refusal.text("vi"))


async def start_refusals(
    context: Context, payment: Payment, *, retry_after_ms: int | None = None
) -> tuple[GatewayUnavailable, ...]:
    """
    Return why the gateway never took *payment* and what to use instead; empty where it took it.

    `retry_after_ms` is when the breaker lets a call through, as this request learned it; where it
    is None the breaker is read now.
    """
    failure = payment.failure
    if failure is None or failure.code != UNAVAILABLE or payment.gateway is None:
        return ()
    gateway = context.gateways.get(payment.gateway)
    if retry_after_ms is None and gateway is not None:
        retry_after_ms = gateway.retry_after_ms()
    refusal = await _unavailable_for(context, payment)
    return (replace(refusal, retry_after_ms=retry_after_ms),)


def notify_url(context: Context, name: GatewayName) -> str:
    """Return the address that the gateway is to call."""
    return f"{context.terms.public_url}/webhooks/{context.gateways[name].paths[0]}"


async def _unavailable_for(context: Context, payment: Payment) -> GatewayUnavailable:
    """Return the refusal of the payment's gateway, which cannot be used now."""
    now, is_order = await context.clock(), payment.order is not None
    gateway = attempt_of(payment).gateway
    return _unavailable(context, payment.method, gateway, now, order=is_order)


def _unavailable(
    context: Context,
    method: PaymentMethod,
    name: GatewayName,
    now: datetime,
    *,
    order: bool,
) -> GatewayUnavailable:
    excluded = set(STAFF_MONEY) if order else set[PaymentMethod]()
    if _rate(context, now) is None:
        excluded.add(PaymentMethod.PAYPAL)
    alternatives = context.gateways.alternatives(method)
    return GatewayUnavailable(
        gateway=name,
        alternatives=tuple(other for other in alternatives if other not in excluded),
    )


def _rate(context: Context, now: datetime) -> Rate | None:
    """Return the price of a dollar, None if the known rate is too old."""
    rate = context.terms.usd_rate
    return rate if rate is not None and rate.is_good(business_date(now)) else None
