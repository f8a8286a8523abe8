"""
Random requests, gateway calls, crashes and days, compared with a model in plain Python.

The machine calls the API as clients and gateways do. After each step every payment has a status
that the model allows, and no rule of the judge is broken. At the end nothing is due and the outer
systems agree. A failing run prints its steps; MODEL_RUNS and MODEL_STEPS make it longer.
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
from tests.model.expected import OPEN, ExpectedPayment, ExpectedState
from tests.model.reversal_rules import ReversalRules
from tests.support.clocks import SetClock
from tests.support.proof import SEED
from tests.support.requests.hand_ins import CONFIRM, SUBMIT
from tests.support.running_api import CANCEL, PROCESS, VERIFY, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

RUNS = int(os.environ.get("MODEL_RUNS") or 3)
STEPS = int(os.environ.get("MODEL_STEPS") or 15)

MAX_AHEAD = timedelta(minutes=30)
# VNPay's clock does not move, and it refuses requests that are dated further ahead.
VNPAY_SKEW = timedelta(minutes=9)


class Machine(ReversalRules):
    """One collector and their customers; the rules move the API's clock."""

    open_qrs = Bundle("open_qrs")
    hand_ins = Bundle("hand_ins")

    def __init__(self, api: Api, sandbox: Sandbox, known: set[str]) -> None:
        super().__init__()
        self.api, self.sandbox, self.known_violations = api, sandbox, known
        self.expected = ExpectedState()
        self.staff = api.collector()
        self.original_context = api.context
        self.ahead = timedelta(0)

        async def clock() -> datetime:
            return await self.original_context.clock() + self.ahead

        api.app.state.context = replace(self.original_context, clock=SetClock(clock))

    # ── clients ──────────────────────────────────────────────────────────────────────────────────

    @initialize()
    def staff_log_in(self) -> None:
        self.api._tokens.clear()

    @rule()
    def cash_is_taken(self) -> None:
        payment = self._pay(self.api.contract(), "CASH", key())
        assert payment["status"] == "SUCCESS"

    @rule(target=open_qrs)
    def a_qr_is_opened(self) -> Any:
        payment = self._pay(self.api.contract(), "VNPAY_QR", key())
        if payment["status"] == "FAILED" and self.ahead >= VNPAY_SKEW:
            return multiple()
        assert payment["status"] in OPEN
        return payment["id"]

    @rule()
    def a_request_is_repeated(self) -> None:
        contract, same_key = self.api.contract(), key()
        items = self.api.owed(contract)[:1]
        first = self._pay(contract, "CASH", same_key, items)
        again = self._pay(contract, "CASH", same_key, items)
        assert again["id"] == first["id"]

    @rule(qr=open_qrs)
    def cash_is_offered_for_the_bill_of_an_open_qr(self, qr: str) -> None:
        held = self.expected.payments[qr]
        items = [
            {"type": row["type"], "id": row["item_id"], "amount": row["amount"]}
            for row in self.api.rows("select * from payment_item where payment = $1", qr)
        ]
        answer = self._process(held.contract, "CASH", key(), items)
        if answer["payment"] is None:
            assert {refusal["code"] for refusal in answer["errors"]} <= {
                "BILL_LOCKED",
                "BILL_ALREADY_PAID",
            }
        else:
            held.ended = True  # otherwise its bill would be locked

    @rule(qr=open_qrs)
    def a_qr_is_cancelled(self, qr: str) -> None:
        answer = self._get(CANCEL, {"id": qr, "reason": "customer left"})
        payment = answer["payment"]
        if payment is not None and payment["status"] == "CANCELLED":
            self.expected.payments[qr].ended = True

    @rule(qr=open_qrs)
    def a_qr_is_verified(self, qr: str) -> None:
        payment = self._get(VERIFY, {"id": qr})["payment"]
        if payment is not None and payment["status"] == "SUCCESS":
            self.expected.payments[qr].success = True

    # ── customers and gateways ───────────────────────────────────────────────────────────────────

    @rule(
        qr=open_qrs,
        call=st.sampled_from(["once", "lost", "three times at once", "forged"]),
        off_by=st.sampled_from([0, 0, 0, -1000, 1000]),
    )
    def a_customer_pays(self, qr: str, call: str, off_by: int) -> None:
        payment = self.expected.payments[qr]
        if payment.taken or self._is_expired(qr):
            return
        amount = payment.amount + off_by
        self.sandbox.pay(
            reference=payment.reference,
            amount=amount,
            drop_webhook=call == "lost",
            bad_signature=call == "forged",
            repeat=3 if call == "three times at once" else 1,
        )
        payment.taken = amount

    @rule(qr=open_qrs)
    def a_gateway_repeats_itself(self, qr: str) -> None:
        payment = self.expected.payments[qr]
        if payment.taken:  # the gateway repeats its webhook
            self.sandbox.pay(reference=payment.reference, repeat=2)

    @rule(qr=consumes(open_qrs))
    def a_customer_is_declined(self, qr: str) -> None:
        payment = self.expected.payments[qr]
        if not payment.taken and not self._is_expired(qr):
            self.sandbox.pay(reference=payment.reference, outcome="declined")

    # ── our processes ────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.ahead < MAX_AHEAD)
    @rule(minutes=st.sampled_from([1, 6, 20, 60]))
    def time_passes_and_the_worker_works(self, minutes: int) -> None:
        run = self.api.run(run_due_jobs(self.api.context, ahead=timedelta(minutes=minutes)))
        assert run.failed == []
        self.ahead += timedelta(minutes=minutes)
        self.api._tokens.clear()  # tokens expire after a quarter of an hour

    @rule(target=open_qrs, reached=st.booleans())
    def the_process_dies_during_a_request_to_the_gateway(self, reached: bool) -> Any:
        """The client then repeats its request with the same key."""
        contract, same_key = self.api.contract(), key()
        items = self.api.owed(contract)[:1]
        start = VNPay.start

        async def die(*args: Any, **more: Any) -> Any:
            if reached:
                await start(*args, **more)
            raise RuntimeError("the process died")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(VNPay, "start", die)
            given = {"idempotencyKey": same_key, "contractNumber": contract, "method": "VNPAY_QR"}
            given |= {"items": items}
            answer = self.api.execute(PROCESS, {"input": given}, token=self._token())
            assert answer["errors"], answer
        payment = self._pay(contract, "VNPAY_QR", same_key, items)
        alive = reached and self.ahead < VNPAY_SKEW and payment["status"] != "FAILED"
        return payment["id"] if alive else multiple()

    # ── hand-ins ─────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.expected.to_hand_in > 0)
    @rule(target=hand_ins)
    def cash_is_handed_in(self) -> Any:
        expected = self.expected.to_hand_in
        given = {"idempotencyKey": key(), "countedAmount": expected}
        hand_in = self._get(SUBMIT, {"input": given})["handIn"]
        assert hand_in["expectedAmount"] == expected
        ids = {payment.id for payment in self.expected.held}
        self.expected.handed_in |= ids
        return hand_in["id"], frozenset(ids), expected

    @rule(hand_in=consumes(hand_ins), lacks=st.sampled_from([0, 0, 5000, -5000]))
    def a_cashier_counts(self, hand_in: Any, lacks: int) -> None:
        hand_in_id, ids, expected = hand_in
        counted = {"id": hand_in_id, "counted": expected - lacks}
        payload = self.api.get(CONFIRM, counted, token=self.api.token("CA001"))
        assert payload["handIn"]["variance"] == -lacks
        self.expected.confirmed |= ids

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_payment_has_a_possible_status(self) -> None:
        for payment_id, status in self._statuses().items():
            assert status in self.expected.payments[payment_id].possible_statuses, (
                payment_id,
                status,
            )

    @invariant()
    def no_rule_of_the_judge_is_broken(self) -> None:
        wrong = self.api.run(self._broken())
        assert set(wrong) <= self.known_violations, set(wrong) - self.known_violations

    @invariant()
    def the_collector_sees_their_cash_in_hand(self) -> None:
        if self.expected.payments:
            limits = self.api.get("query { me { limits { kind used } } }", token=self._token())
            used = {limit["kind"]: limit["used"] for limit in limits["limits"]}
            assert used["CASH_IN_HAND"] == self.expected.in_hand

    def teardown(self) -> None:
        """Run all jobs; then every payment is at rest, and the outer systems agree."""
        try:
            run = self.api.run(run_due_jobs(self.api.context))
            assert run.failed == []
            for payment_id, status in self._statuses().items():
                assert status in self.expected.payments[payment_id].final_statuses, (
                    payment_id,
                    status,
                )
            wrong = set(violations(self.api.database, self.sandbox.truth))
            new = wrong - self.known_violations
            self.known_violations |= wrong
            assert not new, new
        finally:
            self.api.app.state.context = self.original_context
            self.api._tokens.clear()

    # ── private ──────────────────────────────────────────────────────────────────────────────────

    def _token(self) -> str:
        return self.api.token(self.staff)

    def _get(self, document: str, variables: Any) -> Any:
        return self.api.get(document, variables, token=self._token())

    def _process(self, contract: str, method: str, same_key: str, items: Any) -> Any:
        given = {"idempotencyKey": same_key, "contractNumber": contract, "method": method}
        answer = self._get(PROCESS, {"input": given | {"items": items}})
        if answer["payment"] is not None:
            self._add(answer["payment"])
        return answer

    def _pay(self, contract: str, method: str, same_key: str, items: Any = None) -> Any:
        answer = self._process(contract, method, same_key, items or self.api.owed(contract)[:1])
        assert answer["payment"], answer
        return answer["payment"]

    def _add(self, payment: Any) -> None:
        if payment["id"] not in self.expected.payments:
            self.expected.add(
                ExpectedPayment(
                    id=payment["id"],
                    contract=payment["contractNumber"],
                    amount=payment["amount"],
                    cash=payment["method"] == "CASH",
                    reference=payment["gatewayReference"] or "",
                )
            )

    def _is_expired(self, qr: str) -> bool:
        """Return whether the QR is so old that its gateway takes no more money."""
        (row,) = self.api.rows("select created_at from payment where id = $1", qr)
        return self.api.run(self.api.context.clock()) - row["created_at"] > timedelta(minutes=14)

    def _statuses(self) -> dict[str, str]:
        rows = self.api.rows(
            "select id, status from payment where id = any($1)", list(self.expected.payments)
        )
        return {row["id"]: row["status"] for row in rows}

    async def _broken(self) -> list[str]:
        connection = await engine.own_connection()
        try:
            return await broken(connection, at_rest=False)
        finally:
            await connection.close()


def test_after_random_requests_calls_and_crashes_the_money_is_where_the_model_says(
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
            phases=[hypothesis.Phase.generate],  # runs are short, so they are not shrunk
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
