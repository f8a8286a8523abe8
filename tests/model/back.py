"""What the machine does with money that goes back, and with what is said of it after: voids, refunds, cases, files."""

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
from tests.api.cases.test_cases import seen
from tests.model.world import World
from tests.support.decisions import say
from tests.support.reversals import refund, void
from tests.support.running_api import Api, Sandbox

# Where nothing is booked two people may say that money came: then they know more than the model.
ASSERTED = {"SUSPICIOUS", "UNKNOWN_OUTCOME", "REFUND_UNKNOWN"}


class GoesBack(RuleBasedStateMachine):
    api: Api
    sandbox: Sandbox
    world: World
    staff: str

    @precondition(lambda self: self.world.held)
    @rule(nth=st.integers(0, 50))
    def cash_is_voided(self, nth: int) -> None:
        held = self.world.held
        one = held[nth % len(held)]
        answer = void(self.api, {"id": one.id}, self.staff)
        assert answer["reversal"]["status"] == "DONE", answer
        one.voided = True

    @precondition(lambda self: self.world.refundable)
    @rule(nth=st.integers(0, 50), part=st.sampled_from([1, 2, 3]), too_much=st.booleans())
    def a_success_is_given_back(self, nth: int, part: int, too_much: bool) -> None:
        several = self.world.refundable
        one = several[nth % len(several)]
        amount = one.left + 1 if too_much else max(1, one.left // part)
        answer = refund(self.api, {"id": one.id, "amount": one.amount}, amount)
        if too_much:
            assert answer["reversal"] is None, answer
        else:
            assert answer["reversal"], answer
            one.refunded += amount

    @precondition(lambda self: self.world.payments)
    @rule(decision=st.sampled_from(["APPLY", "CREDIT", "REFUND", "CLOSE"]))
    def two_people_decide_about_a_case(self, decision: str) -> None:
        about = [item for item in seen(self.api, first=100, status="OPEN") if self._is_mine(item)]
        if not about or (decision == "APPLY" and about[0]["kind"] in ASSERTED):
            return
        first = say(self.api, about[0], decision, "FI001")
        if first["errors"]:
            return
        second = say(self.api, about[0], decision, "FI002")
        assert second["case"]["status"] == "RESOLVED", second
        self.world.payments[about[0]["paymentId"]].decided = True

    @rule(twice=st.booleans())
    def the_gateways_file_of_the_day_is_settled(self, twice: bool) -> None:
        """What it says of money that nobody told of counts now, and its repeat for nothing."""
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
        assert not twice or done.since is not None

    def _is_mine(self, case: Any) -> bool:
        return case["paymentId"] in self.world.payments
