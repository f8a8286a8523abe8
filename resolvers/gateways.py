"""Which gateway takes a payment, and what to use when it can't."""

from __future__ import annotations

from datetime import datetime

import structlog

from domain.attempts import Failure
from domain.calendar import business_date
from domain.gateways import Gateway, GatewayUnavailable
from domain.methods import GATEWAY_OF, GatewayName, PaymentMethod
from domain.money import Money
from domain.payments import Payment
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# A FAILED payment with this code was never taken by its gateway: another method may work.
UNAVAILABLE = "GATEWAY_UNAVAILABLE"


def ready(context: Context, method: PaymentMethod) -> Gateway | None:
    """Return the gateway that *method* goes through, None for cash. Raises GatewayUnavailable."""
    name = GATEWAY_OF[method]
    if name is None:
        return None
    gateway = context.gateways.for_method(method)
    if gateway is None or not gateway.ready():
        raise unavailable(context, method, name)
    return gateway


def charged(context: Context, gateway: Gateway, money: Money, now: datetime) -> Money:
    """
    Return what the gateway is to be asked for: PayPal takes no đồng, and is asked for dollars.

    Raises GatewayUnavailable where the rate is too old to charge by.
    """
    if gateway.name is not GatewayName.PAYPAL:
        return money
    rate = context.terms.usd_rate
    if rate is None or not rate.is_good(business_date(now)):
        log.error("dollar rate too old", day=rate and rate.day.isoformat())
        raise unavailable(context, PaymentMethod.PAYPAL, gateway.name)
    return rate.dollars(money)


def unavailable(
    context: Context, method: PaymentMethod, name: GatewayName, retry_after_ms: int | None = None
) -> GatewayUnavailable:
    return GatewayUnavailable(
        gateway=name,
        retry_after_ms=retry_after_ms,
        alternatives=context.gateways.alternatives(method),
    )


def not_sent(context: Context, method: PaymentMethod, name: GatewayName) -> Failure:
    """Return why a payment failed that no gateway ever heard of."""
    refusal = unavailable(context, method, name)
    return Failure(code=UNAVAILABLE, message=refusal.say("vi"))


def notify_url(context: Context, name: GatewayName) -> str:
    """Return where the gateway is to call us."""
    return f"{context.terms.public_url}/webhooks/{context.gateways[name].paths[0]}"


def why_unavailable(context: Context, payment: Payment) -> list[GatewayUnavailable]:
    """Return, beside a payment that its gateway never took, what to use instead."""
    failed = payment.failure
    if failed is None or failed.code != UNAVAILABLE or payment.gateway is None:
        return []
    return [unavailable(context, payment.method, payment.gateway)]
