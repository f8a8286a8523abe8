"""
Random operations in a random order, while gateways report random results.

They call the resolvers, past the adapters' checks: zero amounts, changing gateway numbers,
suspicions after the end, settlement lines of failed payments. Refusals are allowed; `log` lists
every step.
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
from tests.model.choices import (
    EVIDENCE_RESULTS,
    INQUIRY_RESULTS,
    METHODS,
    REFUND_EVIDENCE,
    REFUND_RESULTS,
    SOURCES,
    START_RESULTS,
    UNREADABLE_SUMS,
)
from tests.support.backend import Backend, StubGateway
from tests.support.running_api import key

EvidenceSums = dict[tuple[str | None, Currency], int]


class RandomSteps:
    def __init__(self, backend: Backend, dice: Random, folder: Path) -> None:
        self.backend, self.dice, self.folder = backend, dice, folder
        self.log: list[str] = []
        self.ids: list[str] = []
        # By payment: the largest amount that evidence has named under each gateway number.
        self.evidence_sums: dict[str, EvidenceSums] = defaultdict(dict)
        # Payments of which two people may have decided that money came.
        self.asserted: set[str] = set()
        self.order: str | None = None
        self.gateways = [
            StubGateway(),
            StubGateway(name=GatewayName.MOMO, paths=("momo",), revocable=True),
        ]

    async def begin(self) -> None:
        backend = self.backend
        bank = backend.real[GatewayName.BANK]
        backend.context = replace(backend.context, gateways=Gateways([*self.gateways, bank]))
        self.collectors = [await backend.collector(), await backend.collector()]
        self.supervisor, self.cashier = (
            await backend.as_staff("SV001"),
            await backend.as_staff("CA001"),
        )
        self.finance = [await backend.as_staff("FI001"), await backend.as_staff("FI002")]
        self.shop = backend.context.for_actor(Actor(id="shop", name="shop", role=Role.MERCHANT))
        self.bills: list[tuple[str, Item]] = []
        for _ in range(2):  # few bills, so that payments compete for them
            contract = f"SGFDN{next(backend.contracts)}"
            self.bills.append((contract, await backend.owed(contract)))

    async def step(self) -> None:
        act = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.log.append(act.__name__)
        try:
            await act(self)
        except NothingToDo:
            self._log("nothing to do")
        except (Refusal, Refused, Rejected) as refusal:
            self._log(f"refused: {refusal}")

    # ── payments ─────────────────────────────────────────────────────────────────────────────────

    async def pay_bill(self) -> None:
        starts = self.dice.choice(START_RESULTS)
        for gateway in self.gateways:
            gateway.start_result = starts
        contract, bill = self.dice.choice(self.bills)
        method, by = self.dice.choice(METHODS), self.dice.choice(self.collectors)
        payment = await self.backend.new_payment(
            by, method, contract_number=contract, items=(bill,)
        )
        self._add(payment)

    async def pay_order(self) -> None:
        if self.order is None or self.dice.random() < 0.3:
            command = CreateOrder(idempotency_key=key(), reference=key(), amount=100_000)
            self.order = (await orders.create(self.shop, command)).order.id
        method = self.dice.choice([PaymentMethod.VNPAY_QR, PaymentMethod.BANK_TRANSFER])
        payment_command = PayOrder(
            idempotency_key=key(), order_id=self.order, amount=100_000, method=method
        )
        self._add((await orders.pay(self.shop, payment_command)).payment)

    async def apply_evidence(self) -> None:
        payment, attempt = await self._payment_with_attempt()
        result = self.dice.choice(EVIDENCE_RESULTS)
        source = None if result is GatewayResult.GAVE_UP else self.dice.choice(SOURCES)
        number = self.dice.choice(["G1", "G1", "G2", None])
        due = attempt.money.amount
        sums = [due, due, due, due - 1000, due + 777, 0]
        money = self.dice.choice([*map(Money, sums), Money(1000, Currency.USD), None])
        names_a_sum = result in {GatewayResult.PAID, GatewayResult.SUSPICIOUS}
        code = self.dice.choice(["07", "04"])
        unreadable = self.dice.choice(UNREADABLE_SUMS) if result is GatewayResult.PAID else None
        if unreadable or not names_a_sum:
            money = None
        evidence = Evidence(
            source=source,
            origin="random steps",
            result=result,
            money=money,
            unreadable=unreadable,
            gateway_id=number,
            failure=Failure(code=code, message="?") if result is GatewayResult.SUSPICIOUS else None,
        )
        if result is GatewayResult.PAID:
            self._remember_sum(payment, number, money)
        closing = self.dice.choice([None, None, Closing.EXPIRED, Closing.CANCELLED])
        self._log(
            f"{payment.id} {payment.status}: {result} {source} {unreadable or money} {number}"
        )
        await payment_evidence.apply(
            self.backend.context, attempt.reference, evidence, closing=closing
        )

    async def inquire_or_cancel(self) -> None:
        payment, attempt = await self._payment_with_attempt()
        for gateway in self.gateways:
            gateway.inquiry_result = self.dice.choice(INQUIRY_RESULTS)
        self._remember_sum(payment, "G1", attempt.money)
        by = await self.backend.as_staff("AD001")
        act = self.dice.choice([jobs.follow_up, jobs.inquire, None])
        if act is None:
            await payment_inquiry.cancel(by, payment.id, reason="customer left")
        else:
            await act(self.backend.context, payment.id)

    async def move_clock(self) -> None:
        self.backend.clock.move(minutes=self.dice.choice([1, 16, 90, 60 * 24]))

    # ── reversals ────────────────────────────────────────────────────────────────────────────────

    async def void_cash(self) -> None:
        by = self._with_four_eyes_limit(self.dice.choice([*self.collectors, self.supervisor]))
        await reversals.void(by, await self._payment_id(), reason="mistake", idempotency_key=key())

    async def request_refund(self) -> None:
        payment = await self.backend.reload(await self._payment())
        for gateway in self.gateways:
            gateway.refund_result = self.dice.choice(REFUND_RESULTS)
        await reversals.refund(
            self._with_four_eyes_limit(self.dice.choice(self.finance)),
            payment.id,
            amount=self.dice.choice([payment.amount, payment.amount // 2, 777, 1]),
            reason="mistake",
            idempotency_key=key(),
            of=self.dice.choice([RefundOf.PAID, RefundOf.PAID, RefundOf.CREDIT]),
        )

    async def report_refund(self) -> None:
        rows = await self._rows(
            "select id from reversal where payment = any($1) and gateway is not null"
        )
        reversal_id = self.dice.choice(rows)["id"]
        if self.dice.random() < 0.5:
            await jobs.refund(self.backend.context, reversal_id)
            return
        result = self.dice.choice(REFUND_EVIDENCE)
        source = (
            None
            if result is GatewayResult.GAVE_UP
            else self.dice.choice([EvidenceSource.INQUIRY, EvidenceSource.SETTLEMENT])
        )
        self._log(f"{reversal_id}: {result} {source}")
        evidence = Evidence(source=source, origin="random steps", result=result)
        await refund_execution.apply_evidence(self.backend.context, reversal_id, evidence)

    # ── people and internal systems ────────────────────────────────────────────────────────────

    async def decide_case(self) -> None:
        rows = await self._rows(
            "select * from money_case where payment = any($1) and status <> 'RESOLVED'"
        )
        case, decision = self.dice.choice(rows), self.dice.choice(list(CaseDecision))
        sums = [None, 777, 100_000, 300_000] if case["unreadable"] else [None, None, None, 777]
        amount = self.dice.choice(sums)
        asserts = decision is CaseDecision.APPLY or amount is not None
        self.asserted |= {case["payment"]} if asserts else set()
        people = self.dice.sample(self.finance, self.dice.choice([1, 2, 2]))
        reported = case["unreadable"] or case["amount"]
        self._log(f"{case['kind']} {reported} of {case['payment']}: {decision} {amount or ''}")
        command = case_decisions.ResolveCase(
            case_id=case["id"], decision=decision, reason="looked at it", amount=amount
        )
        for by in people:
            await case_decisions.resolve(by, command)

    async def submit_hand_in(self) -> None:
        command = SubmitHandIn(idempotency_key=key(), counted_amount=1000)
        await hand_ins.submit(self.dice.choice(self.collectors), command)

    async def confirm_hand_ins(self) -> None:
        staff = [by.actor_id for by in self.collectors]
        sql = "select id, expected from hand_in where staff = any($1) and status = 'SUBMITTED'"
        for row in await engine.fetch(sql, staff):
            counted = row["expected"] + self.dice.choice([0, -1000, 2000])
            await hand_ins.confirm(self.cashier, row["id"], counted_amount=counted)

    async def record_in_revenue(self) -> None:
        payment = await self.backend.reload(await self._payment())
        await jobs.record_payment(self.backend.context, payment.id)
        for row in await self._rows(
            "select id from reversal where payment = any($1) and posting_status = 'PENDING'"
        ):
            await jobs.report_reversal(self.backend.context, row["id"])

    async def import_settlement(self) -> None:
        lines: list[str] = []
        at = self.backend.clock.at.isoformat()
        for payment in await payments.by_ids(self.ids):
            attempt = payment.attempt
            if attempt is None or attempt.gateway is not GatewayName.VNPAY:
                continue
            number, amount = self.dice.choice(["G1", "G2"]), attempt.money.amount
            amount += self.dice.choice([0, 0, 0, -500, 500])
            lines.append(f"{attempt.reference},{number},payment,{amount},VND,success,{at}")
            self._remember_sum(payment, number, Money(amount))
        for row in await self._rows(
            "select * from reversal where payment = any($1) and gateway = 'VNPAY'"
        ):
            number = row["gateway_id"] or f"R{row['id'][-4:]}"
            lines.append(f"{row['attempt']},{number},refund,{row['amount']},VND,success,{at}")
        drawn = [line for line in lines if self.dice.random() < 0.6]
        if drawn:
            path = self.folder / f"{key()}.csv"
            path.write_text(
                "\n".join(["reference,gateway_id,kind,amount,currency,status,at", *drawn])
            )
            self._log(" | ".join(drawn))
            context = self.backend.context.for_actor(OPERATOR)
            await settlement.import_file(context, GatewayName.VNPAY, path)

    # ── private ──────────────────────────────────────────────────────────────────────────────────

    def _log(self, entry: str) -> None:
        self.log.append(f"    {entry}")

    def _add(self, payment: Payment) -> None:
        if payment.id not in self.ids:
            self.ids.append(payment.id)
        self._log(f"{payment.id} {payment.method} {payment.status}")

    def _remember_sum(self, payment: Payment, number: str | None, money: Money | None) -> None:
        """Remember the most that may be booked under a gateway number, or each time without one."""
        if money is not None and money.amount > 0:
            known = self.evidence_sums[payment.id]
            name = number or f"none {len(known)}"
            known[name, money.currency] = max(money.amount, known.get((name, money.currency), 0))

    def _with_four_eyes_limit(self, by: Context) -> Context:
        above = self.dice.choice([by.terms.four_eyes_above, 1000])
        return replace(by, terms=replace(by.terms, four_eyes_above=above))

    async def _rows(self, sql: str) -> Any:
        rows = await engine.fetch(sql, self.ids)
        if not rows:
            raise NothingToDo
        return rows

    async def _payment_id(self) -> str:
        if not self.ids:
            raise NothingToDo
        return self.dice.choice(self.ids)

    async def _payment(self) -> Payment:
        payment = await payments.by_id(await self._payment_id())
        assert payment is not None
        return payment

    async def _payment_with_attempt(self) -> tuple[Payment, Attempt]:
        payment = await self._payment()
        if payment.attempt is None:
            raise NothingToDo
        return payment, payment.attempt


class NothingToDo(Exception):
    """No payment or case exists yet to which the operation applies."""


WEIGHTS: dict[Callable[[RandomSteps], Awaitable[None]], int] = {
    RandomSteps.pay_bill: 4,
    RandomSteps.pay_order: 1,
    RandomSteps.apply_evidence: 8,
    RandomSteps.inquire_or_cancel: 3,
    RandomSteps.move_clock: 1,
    RandomSteps.void_cash: 2,
    RandomSteps.request_refund: 3,
    RandomSteps.report_refund: 2,
    RandomSteps.decide_case: 4,
    RandomSteps.submit_hand_in: 1,
    RandomSteps.confirm_hand_ins: 1,
    RandomSteps.record_in_revenue: 2,
    RandomSteps.import_settlement: 2,
}
