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
from domain.payment_evidence import Closing, Evidence, Finding, Grade
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
from tests.unit.resolvers.conftest import House, Obedient

METHODS = [PaymentMethod.CASH, PaymentMethod.VNPAY_QR, PaymentMethod.MOMO, PaymentMethod.BANK_TRANSFER]  # fmt: skip
ANSWERS = [Finding.UNPAID, Finding.PAID, Finding.UNKNOWN, Finding.DECLINED, Finding.EXPIRED]
OF_REFUNDS = [Finding.PAID, Finding.UNKNOWN, Finding.DECLINED, Finding.NOT_SENT]
SAYINGS = [*[Finding.PAID] * 6, *[Finding.SUSPICIOUS] * 2, Finding.UNPAID, Finding.DECLINED, Finding.EXPIRED, Finding.NO_ANSWER]  # fmt: skip
UNREADABLE = [None, None, None, "100.000", "1e5"]
Told = dict[tuple[str | None, Currency], int]


class Walker:
    def __init__(self, house: House, chance: Random, folder: Path) -> None:
        self.house, self.chance, self.folder = house, chance, folder
        self.done: list[str] = []
        self.ids: list[str] = []
        self.told: dict[str, Told] = defaultdict(dict)  # by payment: what each number was paid with
        self.asserted: set[str] = set()  # of which two people may have said that they were paid
        self.order: str | None = None
        self.gateways = [Obedient(), Obedient(name=GatewayName.MOMO, paths=("momo",), revocable=True)]  # fmt: skip

    async def begin(self) -> None:
        house = self.house
        bank = house.real[GatewayName.BANK]
        house.context = replace(house.context, gateways=Gateways([*self.gateways, bank]))
        self.collectors = [await house.collector(), await house.collector()]
        self.supervisor, self.cashier = await house.by("SV001"), await house.by("CA001")
        self.finance = [await house.by("FI001"), await house.by("FI002")]
        self.shop = house.context.asked_by(Actor(id="shop", name="shop", role=Role.MERCHANT))
        self.bills: list[tuple[str, Item]] = []
        for _ in range(2):  # so few that payments stand in each other's way
            contract = f"SGFDN{next(house.contracts)}"
            self.bills.append((contract, await house.owed(contract)))

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
        starts = self.chance.choice([*[Finding.ACCEPTED] * 4, Finding.UNKNOWN, Finding.NOT_SENT, Finding.DECLINED])  # fmt: skip
        for gateway in self.gateways:
            gateway.starts = starts
        contract, bill = self.chance.choice(self.bills)
        method, by = self.chance.choice(METHODS), self.chance.choice(self.collectors)
        paid = await self.house.pays(by, method, contract_number=contract, items=(bill,))
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
        finding = self.chance.choice(SAYINGS)
        ours = finding is Finding.NO_ANSWER
        grade = Grade.NONE if ours else self.chance.choice([Grade.E0, Grade.E1, Grade.E2, Grade.E3])
        number = self.chance.choice(["G1", "G1", "G2", None])
        asked = attempt.money.amount
        sums = [asked, asked, asked, asked - 1000, asked + 777, 0]
        money = self.chance.choice([*map(Money, sums), Money(1000, Currency.USD), None])
        says_a_sum = finding in {Finding.PAID, Finding.SUSPICIOUS}
        code = self.chance.choice(["07", "04"])
        unreadable = self.chance.choice(UNREADABLE) if finding is Finding.PAID else None
        if unreadable or not says_a_sum:
            money = None
        said = Evidence(
            grade=grade, source="walker", finding=finding, money=money, unreadable=unreadable,
            gateway_id=number, failure=Failure(code=code, message="?") if finding is Finding.SUSPICIOUS else None,
        )  # fmt: skip
        if finding is Finding.PAID:
            self._hear(payment, number, money)
        closing = self.chance.choice([None, None, Closing.EXPIRED, Closing.CANCELLED])
        self._tell(
            f"{payment.id} {payment.status}: {finding} {grade} {unreadable or money} {number}"
        )
        await payment_evidence.apply(self.house.context, attempt.reference, said, closing=closing)

    async def is_asked_about(self) -> None:
        payment, attempt = await self._conversation()
        for gateway in self.gateways:
            gateway.says = self.chance.choice(ANSWERS)
        self._hear(payment, "G1", attempt.money)
        by = await self.house.by("AD001")
        act = self.chance.choice([jobs.follow_up, jobs.inquire, None])
        if act is None:
            await payment_inquiry.cancel(by, payment.id, reason="customer left")
        else:
            await act(self.house.context, payment.id)

    async def time_passes(self) -> None:
        self.house.clock.move(minutes=self.chance.choice([1, 16, 90, 60 * 24]))

    # ── money that goes back ─────────────────────────────────────────────────────────────────────

    async def is_voided(self) -> None:
        by = self._careful(self.chance.choice([*self.collectors, self.supervisor]))
        await reversals.void(by, await self._any(), reason="mistake", idempotency_key=key())

    async def is_refunded(self) -> None:
        payment = await self.house.again(await self._payment())
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
            await jobs.refund(self.house.context, reversal_id)
            return
        finding = self.chance.choice([Finding.PAID, Finding.UNPAID, Finding.DECLINED, Finding.NO_ANSWER])  # fmt: skip
        grade = Grade.NONE if finding is Finding.NO_ANSWER else self.chance.choice([Grade.E2, Grade.E3])  # fmt: skip
        self._tell(f"{reversal_id}: {finding} {grade}")
        said = Evidence(grade=grade, source="walker", finding=finding)
        await refund_execution.settle(self.house.context, reversal_id, said)

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
        payment = await self.house.again(await self._payment())
        await jobs.record_payment(self.house.context, payment.id)
        for row in await self._rows("select id from reversal where payment = any($1) and told = 'PENDING'"):  # fmt: skip
            await jobs.tell_reversal(self.house.context, row["id"])

    async def settles(self) -> None:
        lines: list[str] = []
        at = self.house.clock.at.isoformat()
        for one in await payments.by_ids(self.ids):
            attempt = one.attempt
            if attempt is None or attempt.gateway is not GatewayName.VNPAY:
                continue
            number, amount = self.chance.choice(["G1", "G2"]), attempt.money.amount
            amount += self.chance.choice([0, 0, 0, -500, 500])
            lines.append(f"{attempt.reference},{number},payment,{amount},VND,success,{at}")
            self._hear(one, number, Money(amount))
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
            context = self.house.context.asked_by(OPERATOR)
            await settlement.settle(context, GatewayName.VNPAY, path)

    # ── private ──────────────────────────────────────────────────────────────────────────────────

    def _tell(self, what: str) -> None:
        self.done.append(f"    {what}")

    def _learn(self, payment: Payment) -> None:
        if payment.id not in self.ids:
            self.ids.append(payment.id)
        self._tell(f"{payment.id} {payment.method} {payment.status}")

    def _hear(self, payment: Payment, number: str | None, money: Money | None) -> None:
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
