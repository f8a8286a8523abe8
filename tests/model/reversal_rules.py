"""The rules of the machine about voids, refunds, cases and settlement files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from domain.calendar import business_date
from domain.methods import GatewayName
from mobinet.settle import OPERATOR
from resolvers import settlement
from tests.model.expected import ExpectedState
from tests.support.requests.cases import seen
from tests.support.requests.decisions import vote
from tests.support.requests.reversals import refund, void
from tests.support.running_api import Api, Sandbox

# In these cases two people may decide that money came, which the model does not know.
ASSERTED = {"SUSPICIOUS", "UNKNOWN_OUTCOME", "REFUND_UNKNOWN"}


class ReversalRules(RuleBasedStateMachine):
    api: Api
    sandbox: Sandbox
    expected: ExpectedState
    staff: str

    @precondition(lambda self: self.expected.held)
    @rule(nth=st.integers(0, 50))
    def cash_is_voided(self, nth: int) -> None:
        held = self.expected.held
        payment = held[nth % len(held)]
        answer = void(self.api, {"id": payment.id}, self.staff)
        assert answer["reversal"]["status"] == "DONE", answer
        payment.voided = True

    @precondition(lambda self: self.expected.refundable)
    @rule(nth=st.integers(0, 50), part=st.sampled_from([1, 2, 3]), too_much=st.booleans())
    def a_success_is_refunded(self, nth: int, part: int, too_much: bool) -> None:
        refundable = self.expected.refundable
        payment = refundable[nth % len(refundable)]
        amount = (
            payment.remaining_amount + 1 if too_much else max(1, payment.remaining_amount // part)
        )
        answer = refund(self.api, {"id": payment.id, "amount": payment.amount}, amount)
        if too_much:
            assert answer["reversal"] is None, answer
        else:
            assert answer["reversal"], answer
            payment.refunded += amount

    @precondition(lambda self: self.expected.payments)
    @rule(decision=st.sampled_from(["APPLY", "CREDIT", "REFUND", "CLOSE"]))
    def two_people_decide_about_a_case(self, decision: str) -> None:
        cases = [case for case in seen(self.api, first=100, status="OPEN") if self._is_ours(case)]
        if not cases or (decision == "APPLY" and cases[0]["kind"] in ASSERTED):
            return
        first = vote(self.api, cases[0], decision, "FI001")
        if first["errors"]:
            return
        second = vote(self.api, cases[0], decision, "FI002")
        assert second["case"]["status"] == "RESOLVED", second
        self.expected.payments[cases[0]["paymentId"]].decided = True

    @rule(twice=st.booleans())
    def the_settlement_file_of_the_day_is_imported(self, twice: bool) -> None:
        """The first import applies lines without a webhook; a second import changes nothing."""
        today = business_date(datetime.now(UTC))
        answer = self.sandbox.http.get(f"/_sandbox/settlement/vnpay?date={today}")
        if len(answer.text.splitlines()) == 1:
            return
        context = self.api.context.for_actor(OPERATOR)
        with NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(answer.text)
            file.flush()
            for _ in range(2 if twice else 1):
                settled = settlement.import_file(context, GatewayName.VNPAY, Path(file.name))
                done = self.api.run(settled)
        assert not twice or done.imported_at is not None

    def _is_ours(self, case: Any) -> bool:
        return case["paymentId"] in self.expected.payments
