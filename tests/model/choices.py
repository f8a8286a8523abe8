"""What the random steps draw from; a repeated value is drawn more often."""

from __future__ import annotations

from domain.methods import PaymentMethod
from domain.payment_evidence import EvidenceSource, GatewayResult

METHODS = [
    PaymentMethod.CASH,
    PaymentMethod.VNPAY_QR,
    PaymentMethod.MOMO,
    PaymentMethod.BANK_TRANSFER,
]
INQUIRY_RESULTS = [
    GatewayResult.UNPAID,
    GatewayResult.PAID,
    GatewayResult.UNKNOWN,
    GatewayResult.DECLINED,
    GatewayResult.EXPIRED,
]
REFUND_RESULTS = [
    GatewayResult.PAID,
    GatewayResult.UNKNOWN,
    GatewayResult.DECLINED,
    GatewayResult.NOT_CONNECTED,
]
EVIDENCE_RESULTS = [
    *[GatewayResult.PAID] * 6,
    *[GatewayResult.SUSPICIOUS] * 2,
    GatewayResult.UNPAID,
    GatewayResult.DECLINED,
    GatewayResult.EXPIRED,
    GatewayResult.GAVE_UP,
]
UNREADABLE_SUMS = [None, None, None, "100.000", "1e5"]
START_RESULTS = [
    *[GatewayResult.ACCEPTED] * 4,
    GatewayResult.UNKNOWN,
    GatewayResult.NOT_CONNECTED,
    GatewayResult.DECLINED,
]
REFUND_EVIDENCE = [
    GatewayResult.PAID,
    GatewayResult.UNPAID,
    GatewayResult.DECLINED,
    GatewayResult.GAVE_UP,
]
SOURCES = [
    EvidenceSource.CLIENT,
    EvidenceSource.WEBHOOK,
    EvidenceSource.INQUIRY,
    EvidenceSource.SETTLEMENT,
]
