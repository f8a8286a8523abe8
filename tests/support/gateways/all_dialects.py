"""Every gateway that the shared suites run over, by its dialect."""

from tests.support.gateways.bank import CassoDialect, SepayDialect
from tests.support.gateways.dialects import Dialect, FPTPayDialect, Teller, VNPayDialect
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
# Who calls us: each gateway that is asked, and who watches the bank account, which nobody can ask.
TELLERS: tuple[Teller, ...] = (*DIALECTS, CassoDialect(), SepayDialect())
