"""
Somebody who does whatever may be done, in any order, while gateways say whatever they may say.

It goes in by the resolvers, where no gateway's manners keep it from the odd: amounts that are none, numbers that
change, suspicions after the end, files that name what failed. What is refused is refused; `done` tells the story.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from db import engine, payments
from domain.attempts import Attempt, Failure
from domain.bills import Item
from domain.cases import CaseDecision
from domain.hand_ins import SubmitHandIn
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.orders import CreateOrder, PayOrder
from domain.payment_evidence import Closing, Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment
from domain.refusals import Refusal, Refused
from domain.reversals import RefundOf
from domain.staff import Actor, Role
from integrations.gateways import Gateways
from integrations.http.parsing import Rejected
from mobinet.settle import OPERATOR
from resolvers import (
    case_decisions,
    hand_ins,
    jobs,
    orders,
    payment_evidence,
    payment_inquiry,
    refund_execution,
    reversals,
    settlement,
)
from resolvers.context import Context
from tests.support.running_api import key
from tests.unit.resolvers.conftest import Backend, Obedient

METHODS = [PaymentMethod.CASH, PaymentMethod.VNPAY_QR, PaymentMethod.MOMO, PaymentMethod.BANK_TRANSFER]  # fmt: skip
ANSWERS = [
    GatewayResult.UNPAID,
    GatewayResult.PAID,
    GatewayResult.UNKNOWN,
    GatewayResult.DECLINED,
    GatewayResult.EXPIRED,
]
OF_REFUNDS = [
    GatewayResult.PAID,
    GatewayResult.UNKNOWN,
    GatewayResult.DECLINED,
    GatewayResult.NOT_CONNECTED,
]
SAYINGS = [*[GatewayResult.PAID] * 6, *[GatewayResult.SUSPICIOUS] * 2, GatewayResult.UNPAID, GatewayResult.DECLINED, GatewayResult.EXPIRED, GatewayResult.GAVE_UP]  # fmt: skip
UNREADABLE = [None, None, None, "100.000", "1e5"]
Told = dict[tuple[str | None, Currency], int]


class Walker:
    def __init__(self, backend: Backend, chance: Random, folder: Path) -> None:
        self.backend, self.chance, self.folder = backend, chance, folder
        self.done: list[str] = []
        self.ids: list[str] = []
        self.told: dict[str, Told] = defaultdict(dict)  # by payment: what each number was paid with
        self.asserted: set[str] = set()  # of which two people may have said that they were paid
        self.order: str | None = None
        self.gateways = [Obedient(), Obedient(name=GatewayName.MOMO, paths=("momo",), revocable=True)]  # fmt: skip

    async def begin(self) -> None:
        backend = self.backend
        bank = backend.real[GatewayName.BANK]
        backend.context = replace(backend.context, gateways=Gateways([*self.gateways, bank]))
        self.collectors = [await backend.collector(), await backend.collector()]
        self.supervisor, self.cashier = await backend.by("SV001"), await backend.by("CA001")
        self.finance = [await backend.by("FI001"), await backend.by("FI002")]
        self.shop = backend.context.for_actor(Actor(id="shop", name="shop", role=Role.MERCHANT))
        self.bills: list[tuple[str, Item]] = []
        for _ in range(2):  # so few that payments stand in each other's way
            contract = f"SGFDN{next(backend.contracts)}"
            self.bills.append((contract, await backend.owed(contract)))

    async def step(self) -> None:
        act = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.done.append(act.__name__)
        try:
            await act(self)
        except Nothing:
            self._tell("to nothing")
        except (Refusal, Refused, Rejected) as no:
            self._tell(f"refused: {no}")

    # ── payments ─────────────────────────────────────────────────────────────────────────────────

    async def pays(self) -> None:
        starts = self.chance.choice([*[GatewayResult.ACCEPTED] * 4, GatewayResult.UNKNOWN, GatewayResult.NOT_CONNECTED, GatewayResult.DECLINED])  # fmt: skip
        for gateway in self.gateways:
            gateway.starts = starts
        contract, bill = self.chance.choice(self.bills)
        method, by = self.chance.choice(METHODS), self.chance.choice(self.collectors)
        paid = await self.backend.pays(by, method, contract_number=contract, items=(bill,))
        self._learn(paid)

    async def pays_an_order(self) -> None:
        if self.order is None or self.chance.random() < 0.3:
            wanted = CreateOrder(idempotency_key=key(), reference=key(), amount=100_000)
            self.order = (await orders.create(self.shop, wanted)).order.id
        method = self.chance.choice([PaymentMethod.VNPAY_QR, PaymentMethod.BANK_TRANSFER])
        asked = PayOrder(idempotency_key=key(), order_id=self.order, amount=100_000, method=method)
        self._learn((await orders.pay(self.shop, asked)).payment)

    async def is_told_something(self) -> None:
        payment, attempt = await self._conversation()
        result = self.chance.choice(SAYINGS)
        ours = result is GatewayResult.GAVE_UP
        grade = (
            None
            if ours
            else self.chance.choice(
                [
                    EvidenceSource.CLIENT,
                    EvidenceSource.WEBHOOK,
                    EvidenceSource.INQUIRY,
                    EvidenceSource.SETTLEMENT,
                ]
            )
        )
        number = self.chance.choice(["G1", "G1", "G2", None])
        asked = attempt.money.amount
        sums = [asked, asked, asked, asked - 1000, asked + 777, 0]
        money = self.chance.choice([*map(Money, sums), Money(1000, Currency.USD), None])
        says_a_sum = result in {GatewayResult.PAID, GatewayResult.SUSPICIOUS}
        code = self.chance.choice(["07", "04"])
        unreadable = self.chance.choice(UNREADABLE) if result is GatewayResult.PAID else None
        if unreadable or not says_a_sum:
            money = None
        said = Evidence(
            source=grade, origin="walker", result=result, money=money, unreadable=unreadable,
            gateway_id=number, failure=Failure(code=code, message="?") if result is GatewayResult.SUSPICIOUS else None,
        )  # fmt: skip
        if result is GatewayResult.PAID:
            self._record_vote(payment, number, money)
        closing = self.chance.choice([None, None, Closing.EXPIRED, Closing.CANCELLED])
        self._tell(
            f"{payment.id} {payment.status}: {result} {grade} {unreadable or money} {number}"
        )
        await payment_evidence.apply(self.backend.context, attempt.reference, said, closing=closing)

    async def is_asked_about(self) -> None:
        payment, attempt = await self._conversation()
        for gateway in self.gateways:
            gateway.says = self.chance.choice(ANSWERS)
        self._record_vote(payment, "G1", attempt.money)
        by = await self.backend.by("AD001")
        act = self.chance.choice([jobs.follow_up, jobs.inquire, None])
        if act is None:
            await payment_inquiry.cancel(by, payment.id, reason="customer left")
        else:
            await act(self.backend.context, payment.id)

    async def time_passes(self) -> None:
        self.backend.clock.move(minutes=self.chance.choice([1, 16, 90, 60 * 24]))

    # ── money that goes back ─────────────────────────────────────────────────────────────────────

    async def is_voided(self) -> None:
        by = self._careful(self.chance.choice([*self.collectors, self.supervisor]))
        await reversals.void(by, await self._any(), reason="mistake", idempotency_key=key())

    async def is_refunded(self) -> None:
        payment = await self.backend.again(await self._payment())
        for gateway in self.gateways:
            gateway.refunds = self.chance.choice(OF_REFUNDS)
        await reversals.refund(
            self._careful(self.chance.choice(self.finance)),
            payment.id,
            amount=self.chance.choice([payment.amount, payment.amount // 2, 777, 1]),
            reason="mistake",
            idempotency_key=key(),
            of=self.chance.choice([RefundOf.PAID, RefundOf.PAID, RefundOf.CREDIT]),
        )

    async def hears_of_a_refund(self) -> None:
        rows = await self._rows("select id from reversal where payment = any($1) and gateway is not null")  # fmt: skip
        reversal_id = self.chance.choice(rows)["id"]
        if self.chance.random() < 0.5:
            await jobs.refund(self.backend.context, reversal_id)
            return
        result = self.chance.choice([GatewayResult.PAID, GatewayResult.UNPAID, GatewayResult.DECLINED, GatewayResult.GAVE_UP])  # fmt: skip
        grade = None if result is GatewayResult.GAVE_UP else self.chance.choice([EvidenceSource.INQUIRY, EvidenceSource.SETTLEMENT])  # fmt: skip
        self._tell(f"{reversal_id}: {result} {grade}")
        said = Evidence(source=grade, origin="walker", result=result)
        await refund_execution.apply_evidence(self.backend.context, reversal_id, said)

    # ── people, and the systems beside us ────────────────────────────────────────────────────────

    async def decides(self) -> None:
        rows = await self._rows("select * from money_case where payment = any($1) and status <> 'RESOLVED'")  # fmt: skip
        case, decision = self.chance.choice(rows), self.chance.choice(list(CaseDecision))
        sums = [None, 777, 100_000, 300_000] if case["unreadable"] else [None, None, None, 777]
        amount = self.chance.choice(sums)
        asserts = decision is CaseDecision.APPLY or amount is not None
        self.asserted |= {case["payment"]} if asserts else set()
        people = self.chance.sample(self.finance, self.chance.choice([1, 2, 2]))
        written = case["unreadable"] or case["amount"]
        self._tell(f"{case['kind']} {written} of {case['payment']}: {decision} {amount or ''}")
        word = case_decisions.ResolveCase(
            case_id=case["id"], decision=decision, reason="looked at it", amount=amount
        )
        for by in people:
            await case_decisions.resolve(by, word)

    async def hands_in(self) -> None:
        asked = SubmitHandIn(idempotency_key=key(), counted_amount=1000)
        await hand_ins.submit(self.chance.choice(self.collectors), asked)

    async def counts(self) -> None:
        staff = [by.actor_id for by in self.collectors]
        sql = "select id, expected from hand_in where staff = any($1) and status = 'SUBMITTED'"
        for row in await engine.fetch(sql, staff):
            counted = row["expected"] + self.chance.choice([0, -1000, 2000])
            await hand_ins.confirm(self.cashier, row["id"], counted_amount=counted)

    async def tells_revenue(self) -> None:
        payment = await self.backend.again(await self._payment())
        await jobs.record_payment(self.backend.context, payment.id)
        for row in await self._rows("select id from reversal where payment = any($1) and told = 'PENDING'"):  # fmt: skip
            await jobs.tell_reversal(self.backend.context, row["id"])

    async def settles(self) -> None:
        lines: list[str] = []
        at = self.backend.clock.at.isoformat()
        for by_id in await payments.by_ids(self.ids):
            attempt = by_id.attempt
            if attempt is None or attempt.gateway is not GatewayName.VNPAY:
                continue
            number, amount = self.chance.choice(["G1", "G2"]), attempt.money.amount
            amount += self.chance.choice([0, 0, 0, -500, 500])
            lines.append(f"{attempt.reference},{number},payment,{amount},VND,success,{at}")
            self._record_vote(by_id, number, Money(amount))
        for row in await self._rows("select * from reversal where payment = any($1) and gateway = 'VNPAY'"):  # fmt: skip
            number = row["gateway_id"] or f"R{row['id'][-4:]}"
            lines.append(f"{row['attempt']},{number},refund,{row['amount']},VND,success,{at}")
        some = [line for line in lines if self.chance.random() < 0.6]
        if some:
            path = self.folder / f"{key()}.csv"
            path.write_text(
                "\n".join(["reference,gateway_id,kind,amount,currency,status,at", *some])
            )
            self._tell(" | ".join(some))
            context = self.backend.context.for_actor(OPERATOR)
            await settlement.import_file(context, GatewayName.VNPAY, path)

    # ── private ──────────────────────────────────────────────────────────────────────────────────

    def _tell(self, what: str) -> None:
        self.done.append(f"    {what}")

    def _learn(self, payment: Payment) -> None:
        if payment.id not in self.ids:
            self.ids.append(payment.id)
        self._tell(f"{payment.id} {payment.method} {payment.status}")

    def _record_vote(self, payment: Payment, number: str | None, money: Money | None) -> None:
        """Remember the most that may be booked: of what has no number, each time it is told."""
        if money is not None and money.amount > 0:
            known = self.told[payment.id]
            named = number or f"none {len(known)}"
            most = max(money.amount, known.get((named, money.currency), 0))
            known[named, money.currency] = most

    def _careful(self, by: Context) -> Context:
        above = self.chance.choice([by.terms.four_eyes_above, 1000])
        return replace(by, terms=replace(by.terms, four_eyes_above=above))

    async def _rows(self, sql: str) -> Any:
        rows = await engine.fetch(sql, self.ids)
        if not rows:
            raise Nothing
        return rows

    async def _any(self) -> str:
        if not self.ids:
            raise Nothing
        return self.chance.choice(self.ids)

    async def _payment(self) -> Payment:
        payment = await payments.by_id(await self._any())
        assert payment is not None
        return payment

    async def _conversation(self) -> tuple[Payment, Attempt]:
        payment = await self._payment()
        if payment.attempt is None:
            raise Nothing
        return payment, payment.attempt


class Nothing(Exception):
    """There is nothing yet that this could be done to."""


WEIGHTS: dict[Callable[[Walker], Awaitable[None]], int] = {
    Walker.pays: 4,
    Walker.pays_an_order: 1,
    Walker.is_told_something: 8,
    Walker.is_asked_about: 3,
    Walker.time_passes: 1,
    Walker.is_voided: 2,
    Walker.is_refunded: 3,
    Walker.hears_of_a_refund: 2,
    Walker.decides: 4,
    Walker.hands_in: 1,
    Walker.counts: 1,
    Walker.tells_revenue: 2,
    Walker.settles: 2,
}
