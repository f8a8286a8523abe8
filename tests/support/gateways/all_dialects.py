"""All gateways that the shared suites run over."""

from __future__ import annotations

from tests.support.gateways.bank import CassoDialect, SepayDialect
from tests.support.gateways.dialects import Caller, Dialect, FPTPayDialect, VNPayDialect
from tests.support.gateways.momo import MoMoDialect
from tests.support.gateways.paypal import PayPalDialect
from tests.support.gateways.stripe import StripeDialect

DIALECTS: tuple[Dialect, ...] = (
    VNPayDialect(),
    FPTPayDialect(),
    MoMoDialect(),
    StripeDialect(),
    PayPalDialect(),
)
# All that call us: the gateways, and the services that watch the bank account.
CALLERS: tuple[Caller, ...] = (*DIALECTS, CassoDialect(), SepayDialect())
