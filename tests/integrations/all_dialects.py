"""Every gateway that the shared suites run over, by its dialect."""

from tests.integrations.bank_dialects import CassoDialect, SepayDialect
from tests.integrations.dialects import Dialect, FPTPayDialect, Teller, VNPayDialect
from tests.integrations.momo_dialect import MoMoDialect
from tests.integrations.paypal_dialect import PayPalDialect
from tests.integrations.stripe_dialect import StripeDialect

DIALECTS: tuple[Dialect, ...] = (
    VNPayDialect(),
    FPTPayDialect(),
    MoMoDialect(),
    StripeDialect(),
    PayPalDialect(),
)
# Who calls us: each gateway that is asked, and who watches the bank account, which nobody can ask.
TELLERS: tuple[Teller, ...] = (*DIALECTS, CassoDialect(), SepayDialect())
