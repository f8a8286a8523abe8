"""Builders of domain values; a test passes only the fields that it is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.attempts import Attempt, AttemptStatus
from domain.bills import Bill, BillStatus, Fee, Item, ItemType
from domain.calendar import business_date
from domain.customers import ContractStatus, Customer, PhoneNumber
from domain.hand_ins import (
    HandIn,
    HandInStatus,
)
from domain.methods import GATEWAY_OF, GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payment_request import NotificationChannels, ProcessPayment
from domain.payments import Notify, Payment, PaymentStatus

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)
PRICE = Money(200_000)


def an_attempt(status: AttemptStatus = AttemptStatus.ACCEPTED, **but: Any) -> Attempt:
    """Return an attempt; a PAID one is paid under its `gateway_id`."""
    number = but.get("gateway_id")
    paid = status is AttemptStatus.PAID and number is not None
    return Attempt(
        **{
            "paid_under": (number,) if paid else (),
            "reference": "MB0001",
            "payment_id": "TXN_1",
            "gateway": GatewayName.VNPAY,
            "status": status,
            "money": Money(200_000),
            "created_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
            "sent_at": None if status is AttemptStatus.CREATED else NOW,
        }
        | but
    )


def a_payment(
    status: PaymentStatus = PaymentStatus.PROCESSING,
    *,
    method: PaymentMethod = PaymentMethod.VNPAY_QR,
    **but: Any,
) -> Payment:
    """Return a payment; its default attempt is one at the method's gateway, None for cash."""
    at: datetime = but.get("created_at", NOW)
    gateway = GATEWAY_OF[method]
    return Payment(
        **{
            "id": "TXN_1",
            "version": 3,
            "status": status,
            "method": method,
            "amount": 200_000,
            "currency": Currency.VND,
            "contract_number": "SGFDN1015",
            "customer_name": "Nguyen Van A",
            "items": (Item(type=ItemType.BILL, id="U23SG0073526", amount=200_000),),
            "staff_id": "NV001",
            "staff_name": "Tran Thi Bich",
            "team": "HCM1",
            "business_date": business_date(at),
            "receipt_token": "receipt-token",
            "notify": Notify(phone="0987654321", hifpt=True, sms=True),
            "created_at": at,
            "updated_at": at,
            "attempt": None if gateway is None else an_attempt(gateway=gateway),
        }
        | but
    )


def evidence(
    result: GatewayResult = GatewayResult.PAID,
    *,
    source: EvidenceSource | None = EvidenceSource.INQUIRY,
    money: Money | None = PRICE,
    gateway_id: str | None = "G1",
    unreadable: str | None = None,
) -> Evidence:
    return Evidence(
        source=source,
        origin="test",
        result=result,
        money=None if unreadable else money,
        gateway_id=gateway_id,
        unreadable=unreadable,
    )


def a_bill(number: str = "U23SG0073526", amount: int = 200_000, **but: Any) -> Bill:
    return Bill(
        **{
            "bill_number": number,
            "period_from": date(2025, 6, 1),
            "period_to": date(2025, 6, 30),
            "amount": amount,
            "content": "Cước Internet",
            "issue_date": date(2025, 7, 1),
            "status": BillStatus.UNPAID,
        }
        | but
    )


def a_fee(fee_id: str = "FEE_SGFDN1015", amount: int = 300_000, **but: Any) -> Fee:
    return Fee(
        **{"fee_id": fee_id, "content": "Phí", "amount": amount, "status": BillStatus.UNPAID} | but
    )


def a_phone(number: str = "0987654321", **but: Any) -> PhoneNumber:
    return PhoneNumber(
        **{"number": number, "type": "primary", "has_hifpt": True, "is_messaging": True} | but
    )


def a_customer(**but: Any) -> Customer:
    return Customer(
        **{
            "customer_id": "CUST_001",
            "name": "Nguyen Van A",
            "contract_number": "SGFDN1015",
            "contract_status": ContractStatus.ACTIVE,
            "service_address": "123 ABC Street",
            "phone_numbers": (a_phone(),),
        }
        | but
    )


def bill_item(number: str = "U23SG0073526", amount: int = 200_000) -> Item:
    return Item(type=ItemType.BILL, id=number, amount=amount)


def fee_item(number: str = "FEE_SGFDN1015", amount: int = 300_000) -> Item:
    return Item(type=ItemType.FEE, id=number, amount=amount)


def a_request(*items: Item, **but: Any) -> ProcessPayment:
    return ProcessPayment(
        **{
            "idempotency_key": "0123456789abcdef",
            "contract_number": "SGFDN1015",
            "method": PaymentMethod.CASH,
            "items": items or (bill_item(),),
            "customer_phone": None,
            "notify": NotificationChannels(),
        }
        | but
    )


def a_hand_in(**but: Any) -> HandIn:
    return HandIn(
        **{
            "id": "HIN_1",
            "staff_id": "NV001",
            "staff_name": "Tran Thi Bich",
            "team": "HCM1",
            "status": HandInStatus.SUBMITTED,
            "expected_amount": 700_000,
            "declared_amount": 690_000,
            "note": None,
            "business_date": business_date(NOW),
            "submitted_at": NOW,
        }
        | but
    )
