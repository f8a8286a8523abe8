"""
The situations in which operations meet: a bill, a payment or a collector, and who acts on it.

Each is prepared by the preparations of tests/crash, with a contract of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from db import engine as database
from domain.methods import PaymentMethod
from resolvers import payment_inquiry, sessions
from resolvers.context import Context
from tests.crash.preparations import (
    Prepare,
    Prepared,
    cancelled_then_paid,
    context_of,
    give_vote,
    open_payment_by,
    paid_by,
    settled,
    system_context,
    unpaid_bill,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is prepared, and the contexts of those who act on it."""

    prepared: Prepared
    collector: Context
    finance: Context
    second_voter: Context
    system: Context

    def with_key(self, name: str) -> Situation:
        """Return the same with an idempotency key of the operation *name* alone."""
        key = f"{self.prepared.key}-{name}"
        return replace(self, prepared=replace(self.prepared, key=key))


def _settled(prepare: Prepare) -> Prepare:
    """Prepare what is paid at VNPay, and the settlement file that says so."""

    async def and_settled(context: Context, prepared: Prepared) -> Prepared:
        return await settled(context, await prepare(context, prepared))

    return and_settled


def _verified(prepare: Prepare) -> Prepare:
    """Prepare a payment whose customer has paid, and the inquiry that finds it."""

    async def and_verified(context: Context, prepared: Prepared) -> Prepared:
        prepared = await prepare(context, prepared)
        await payment_inquiry.verify(await context_of(context, prepared), prepared.payment)
        return prepared

    return and_verified


def _voted(prepare: Prepare) -> Prepare:
    """Prepare a case with the first of two votes to refund its money."""

    async def and_voted(context: Context, prepared: Prepared) -> Prepared:
        prepared = await prepare(context, prepared)
        case = await database.fetchval(
            "select id from money_case where payment = $1", prepared.payment
        )
        prepared = replace(prepared, case=case)
        finance = await logged_in(context, "FI001")
        await give_vote(finance, prepared)
        return prepared

    return and_voted


QR, WALLET, CASH = PaymentMethod.VNPAY_QR, PaymentMethod.FPT_PAY, PaymentMethod.CASH

# Each with the operations that meet in it, in pairs.
SITUATIONS: Mapping[str, tuple[Prepare, tuple[str, ...]]] = {
    "unpaid bill": (unpaid_bill, ("cash", "qr", "wallet", "hand in")),
    "open QR": (
        open_payment_by(QR),
        ("inquiry", "expire", "cancel", "cash", "qr", "void", "hand in", "refund"),
    ),
    "paid QR": (
        _settled(paid_by(QR)),
        ("webhook", "inquiry", "expire", "cancel", "settle", "cash", "refund"),
    ),
    "paid wallet": (
        paid_by(WALLET),
        ("webhook", "inquiry", "expire", "cancel", "refund", "wallet"),
    ),
    "success by QR": (
        _settled(_verified(paid_by(QR))),
        ("webhook", "inquiry", "settle", "refund", "cash", "qr", "cancel", "void"),
    ),
    "held cash": (
        open_payment_by(CASH),
        ("void", "hand in", "refund", "cash", "cash elsewhere", "qr", "cancel", "expire"),
    ),
    "cancelled, then paid": (
        _settled(cancelled_then_paid),
        ("webhook", "inquiry", "settle", "expire", "cash", "qr", "cancel", "refund"),
    ),
    # The one in which all of them meet, so that every pair is met at least once.
    "half decided case": (
        _voted(_verified(_settled(paid_by(QR, amount=-1000)))),
        (
            "resolve",
            "webhook",
            "inquiry",
            "settle",
            "expire",
            "cancel",
            "cash",
            "qr",
            "void",
            "refund",
            "hand in",
        ),
    ),
}


async def prepare_situation(context: Context, name: str, given: Prepared) -> Situation:
    """Prepare the situation on the contract that *given* names."""
    prepare, _ = SITUATIONS[name]
    prepared = await prepare(context, given)
    return Situation(
        prepared=prepared,
        collector=await context_of(context, prepared),
        finance=await logged_in(context, "FI001"),
        second_voter=await logged_in(context, "FI002"),
        system=system_context(context),
    )


_TOKENS: dict[tuple[object, str], str] = {}


async def token_of(context: Context, staff_id: str) -> str:
    """Return a token of this member of staff, who logs in once per database."""
    at = (database.DB.config["dsn"], staff_id)
    if at not in _TOKENS:
        login = await sessions.login(context, staff_id=staff_id, password=f"mobinet{staff_id}")
        _TOKENS[at] = login.access_token
    return _TOKENS[at]


async def logged_in(context: Context, staff_id: str) -> Context:
    """Return the context of this member of staff."""
    actor, _ = await sessions.identify(context, await token_of(context, staff_id))
    return context.for_actor(actor)
