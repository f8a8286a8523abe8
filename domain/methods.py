"""Payment methods, and the gateway of each."""

from __future__ import annotations

from enum import StrEnum


class PaymentMethod(StrEnum):
    CASH = "CASH"
    FPT_PAY = "FPT_PAY"
    VNPAY_QR = "VNPAY_QR"
    BANK_TRANSFER = "BANK_TRANSFER"
    MOMO = "MOMO"
    CARD = "CARD"
    PAYPAL = "PAYPAL"


class GatewayName(StrEnum):
    VNPAY = "VNPAY"
    FPT_PAY = "FPT_PAY"
    BANK = "BANK"
    MOMO = "MOMO"
    STRIPE = "STRIPE"
    PAYPAL = "PAYPAL"


GATEWAY_OF: dict[PaymentMethod, GatewayName | None] = {
    PaymentMethod.CASH: None,
    PaymentMethod.FPT_PAY: GatewayName.FPT_PAY,
    PaymentMethod.VNPAY_QR: GatewayName.VNPAY,
    PaymentMethod.BANK_TRANSFER: GatewayName.BANK,
    PaymentMethod.MOMO: GatewayName.MOMO,
    PaymentMethod.CARD: GatewayName.STRIPE,
    PaymentMethod.PAYPAL: GatewayName.PAYPAL,
}

# Money that a collector carries: only these methods count against limits.
STAFF_MONEY = frozenset({PaymentMethod.CASH, PaymentMethod.FPT_PAY})
