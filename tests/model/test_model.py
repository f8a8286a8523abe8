"""
Random commands, calls, crashes and days, step by step beside a model of plain Python.

The machine speaks to the API as clients and gateways do. After each step every payment is in a state
that the model holds possible, and nothing in the database contradicts itself; in the end all come to
rest, and the outer systems agree. A failing run names its steps; MODEL_RUNS and MODEL_STEPS make it longer.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from db import engine
from integrations.vnpay.gateway import VNPay
from tests.crash.due_jobs import run_due_jobs
from tests.crash.judge import broken, violations
from tests.model.back import GoesBack
from tests.model.world import OPEN, Paid, World
from tests.support.proof import SEED
from tests.support.requests.hand_ins import CONFIRM, SUBMIT
from tests.support.running_api import CANCEL, PROCESS, VERIFY, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

RUNS = int(os.environ.get("MODEL_RUNS") or 3)
STEPS = int(os.environ.get("MODEL_STEPS") or 15)

LONGEST = timedelta(minutes=30)
SKEW = timedelta(minutes=9)  # VNPay, whose clock does not move, refuses what is dated later


class Machine(GoesBack):
    """One collector and their customers. The clock is the API's own, moved by the rules."""

    open_qrs = Bundle("open_qrs")
    hand_ins = Bundle("hand_ins")

    def __init__(self, api: Api, sandbox: Sandbox, known: set[str]) -> None:
        super().__init__()
        self.api, self.sandbox, self.known = api, sandbox, known
        self.world = World()
        self.staff = api.collector()
        self.real = api.context
        self.ahead = timedelta(0)

        async def clock() -> datetime:
            return await self.real.clock() + self.ahead

        api.app.state.context = replace(self.real, clock=clock)

    # ── what clients do ──────────────────────────────────────────────────────────────────────────

    @initialize()
    def somebody_logs_in(self) -> None:
        self.api._tokens.clear()

    @rule()
    def cash_is_taken(self) -> None:
        payment = self._pays(self.api.contract(), "CASH", key())
        assert payment["status"] == "SUCCESS"

    @rule(target=open_qrs)
    def a_qr_is_opened(self) -> Any:
        payment = self._pays(self.api.contract(), "VNPAY_QR", key())
        if payment["status"] == "FAILED" and self.ahead >= SKEW:
            return multiple()
        assert payment["status"] in OPEN
        return payment["id"]

    @rule()
    def a_request_is_repeated(self) -> None:
        contract, same = self.api.contract(), key()
        items = self.api.owed(contract)[:1]
        first = self._pays(contract, "CASH", same, items)
        again = self._pays(contract, "CASH", same, items)
        assert again["id"] == first["id"]

    @rule(qr=open_qrs)
    def cash_is_offered_for_a_bill_that_a_qr_holds(self, qr: str) -> None:
        held = self.world.payments[qr]
        items = [
            {"type": row["type"], "id": row["item_id"], "amount": row["amount"]}
            for row in self.api.rows("select * from payment_item where payment = $1", qr)
        ]
        answer = self._process(held.contract, "CASH", key(), items)
        if answer["payment"] is None:
            assert {no["code"] for no in answer["errors"]} <= {"BILL_LOCKED", "BILL_ALREADY_PAID"}
        else:
            held.ended = True  # or its bill would not have been free

    @rule(qr=open_qrs)
    def a_qr_is_cancelled(self, qr: str) -> None:
        answer = self._get(CANCEL, {"id": qr, "reason": "left the house"})
        payment = answer["payment"]
        if payment is not None and payment["status"] == "CANCELLED":
            self.world.payments[qr].ended = True

    @rule(qr=open_qrs)
    def a_qr_is_verified(self, qr: str) -> None:
        payment = self._get(VERIFY, {"id": qr})["payment"]
        if payment is not None and payment["status"] == "SUCCESS":
            self.world.payments[qr].success = True

    # ── what customers and gateways do ───────────────────────────────────────────────────────────

    @rule(
        qr=open_qrs,
        call=st.sampled_from(["once", "lost", "three times at once", "forged"]),
        off_by=st.sampled_from([0, 0, 0, -1000, 1000]),
    )
    def a_customer_pays(self, qr: str, call: str, off_by: int) -> None:
        paid = self.world.payments[qr]
        if paid.taken or self._is_over(qr):
            return
        amount = paid.amount + off_by
        self.sandbox.pay(
            reference=paid.reference,
            amount=amount,
            drop_webhook=call == "lost",
            bad_signature=call == "forged",
            repeat=3 if call == "three times at once" else 1,
        )
        paid.taken = amount

    @rule(qr=open_qrs)
    def a_gateway_repeats_itself(self, qr: str) -> None:
        paid = self.world.payments[qr]
        if paid.taken:  # what was taken is told again, whatever the customer wants now
            self.sandbox.pay(reference=paid.reference, repeat=2)

    @rule(qr=consumes(open_qrs))
    def a_customer_has_no_money(self, qr: str) -> None:
        paid = self.world.payments[qr]
        if not paid.taken and not self._is_over(qr):
            self.sandbox.pay(reference=paid.reference, outcome="declined")

    # ── what happens to us ───────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.ahead < LONGEST)
    @rule(minutes=st.sampled_from([1, 6, 20, 60]))
    def time_passes_and_the_worker_works(self, minutes: int) -> None:
        passed = self.api.run(run_due_jobs(self.api.context, ahead=timedelta(minutes=minutes)))
        assert passed.failed == []
        self.ahead += timedelta(minutes=minutes)
        self.api._tokens.clear()  # they are a quarter of an hour old at most

    @rule(target=open_qrs, reached=st.booleans())
    def the_process_dies_while_it_asks_a_gateway(self, reached: bool) -> Any:
        """Its client asks again, with the same key."""
        contract, same = self.api.contract(), key()
        items = self.api.owed(contract)[:1]
        start = VNPay.start

        async def dies(*args: Any, **more: Any) -> Any:
            if reached:
                await start(*args, **more)
            raise RuntimeError("it died")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(VNPay, "start", dies)
            given = {"idempotencyKey": same, "contractNumber": contract, "method": "VNPAY_QR"}
            given |= {"items": items}
            answer = self.api.ask(PROCESS, {"input": given}, token=self._token())
            assert answer["errors"], answer
        payment = self._pays(contract, "VNPAY_QR", same, items)
        alive = reached and self.ahead < SKEW and payment["status"] != "FAILED"
        return payment["id"] if alive else multiple()

    # ── cash goes home ───────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.world.to_hand_in > 0)
    @rule(target=hand_ins)
    def cash_is_handed_in(self) -> Any:
        expected = self.world.to_hand_in
        given = {"idempotencyKey": key(), "countedAmount": expected}
        hand_in = self._get(SUBMIT, {"input": given})["handIn"]
        assert hand_in["expectedAmount"] == expected
        ids = {item.id for item in self.world.held}
        self.world.handed_in |= ids
        return hand_in["id"], frozenset(ids), expected

    @rule(hand_in=consumes(hand_ins), lacks=st.sampled_from([0, 0, 5000, -5000]))
    def a_cashier_counts(self, hand_in: Any, lacks: int) -> None:
        id_, ids, expected = hand_in
        counted = {"id": id_, "counted": expected - lacks}
        payload = self.api.get(CONFIRM, counted, token=self.api.token("CA001"))
        assert payload["handIn"]["variance"] == -lacks
        self.world.confirmed |= ids

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_payment_is_where_it_may_be(self) -> None:
        for id_, status in self._statuses().items():
            assert status in self.world.payments[id_].possible, (id_, status)

    @invariant()
    def nothing_contradicts_itself(self) -> None:
        wrong = self.api.run(self._broken())
        assert set(wrong) <= self.known, set(wrong) - self.known

    @invariant()
    def the_collector_is_told_what_is_in_their_hands(self) -> None:
        if self.world.payments:
            limits = self.api.get("query { me { limits { kind used } } }", token=self._token())
            used = {limit["kind"]: limit["used"] for limit in limits["limits"]}
            assert used["CASH_IN_HAND"] == self.world.in_hand

    def teardown(self) -> None:
        """Nothing is left to come: all payments rest, and the outer systems agree."""
        try:
            passed = self.api.run(run_due_jobs(self.api.context))
            assert passed.failed == []
            for id_, status in self._statuses().items():
                assert status in self.world.payments[id_].in_the_end, (id_, status)
            wrong = set(violations(self.api.database, self.sandbox.truth))
            new = wrong - self.known
            self.known |= wrong
            assert not new, new
        finally:
            self.api.app.state.context = self.real
            self.api._tokens.clear()

    # ── private ──────────────────────────────────────────────────────────────────────────────────

    def _token(self) -> str:
        return self.api.token(self.staff)

    def _get(self, document: str, variables: Any) -> Any:
        return self.api.get(document, variables, token=self._token())

    def _process(self, contract: str, method: str, same: str, items: Any) -> Any:
        given = {"idempotencyKey": same, "contractNumber": contract, "method": method}
        answer = self._get(PROCESS, {"input": given | {"items": items}})
        if answer["payment"] is not None:
            self._learn(answer["payment"])
        return answer

    def _pays(self, contract: str, method: str, same: str, items: Any = None) -> Any:
        answer = self._process(contract, method, same, items or self.api.owed(contract)[:1])
        assert answer["payment"], answer
        return answer["payment"]

    def _learn(self, payment: Any) -> None:
        if payment["id"] not in self.world.payments:
            self.world.add(
                Paid(
                    id=payment["id"],
                    contract=payment["contractNumber"],
                    amount=payment["amount"],
                    cash=payment["method"] == "CASH",
                    reference=payment["gatewayReference"] or "",
                )
            )

    def _is_over(self, qr: str) -> bool:
        """Tell whether its time is over: by then the gateway takes no more money for it."""
        (row,) = self.api.rows("select created_at from payment where id = $1", qr)
        return self.api.run(self.api.context.clock()) - row["created_at"] > timedelta(minutes=14)

    def _statuses(self) -> dict[str, str]:
        rows = self.api.rows(
            "select id, status from payment where id = any($1)", list(self.world.payments)
        )
        return {row["id"]: row["status"] for row in rows}

    async def _broken(self) -> list[str]:
        connection = await engine.own_connection()
        try:
            return await broken(connection, at_rest=False)
        finally:
            await connection.close()


def test_whatever_happens_in_whatever_order_the_money_is_where_the_model_says(
    api: Api, sandbox: Sandbox
) -> None:
    known: set[str] = set()
    machine = hypothesis.seed(SEED)(lambda: Machine(api, sandbox, known))
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],  # the steps of a failing run are few enough to read
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
