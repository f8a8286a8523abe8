"""All gateways that the shared suites run over."""

from __future__ import annotations

from tests.support.gateways.bank import CassoDialect, SepayDialect
from tests.support.gateways.dialects import Caller, Dialect
from tests.support.gateways.fpt_pay import FPTPayDialect
from tests.support.gateways.momo import MoMoDialect
from tests.support.gateways.paypal import PayPalDialect
from tests.support.gateways.stripe import StripeDialect
from tests.support.gateways.vnpay import VNPayDialect

DIALECTS: tuple[Dialect, ...] = (
    VNPayDialect(),
    FPTPayDialect(),
    MoMoDialect(),
    StripeDialect(),
    PayPalDialect(),
)
# All that call us: the gateways, and the services that watch the bank account.
CALLERS: tuple[Caller, ...] = (*DIALECTS, CassoDialect(), SepayDialect())
