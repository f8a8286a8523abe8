"""Money that comes in another sum than a hold named: people decide about all of it, and none is left behind."""

from __future__ import annotations

import asyncio

import pytest

from mobinet.verify import verify
from tests.support.gateways.calls import call, ipn, signed, state
from tests.support.requests.cases import SUSPICION, of
from tests.support.requests.decisions import books, decide, refused, say
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]


@pytest.mark.parametrize(
    ("came", "decision", "account"),
    [(700, "CREDIT", "customer_credit"), (-700, "REFUND", "refunds_payable"), (700, "APPLY", None)],
)
def test_money_that_came_after_a_suspicion_of_another_sum_is_decided_with_it(
    api: Api, came: int, decision: str, account: str | None
) -> None:
    """Hard case 16: none of it is left behind without a case."""
    payment = api.paid(method="VNPAY_QR")
    asked = payment["amount"]
    assert call(api, signed(ipn(payment, **SUSPICION, vnp_Amount=str((asked - 900) * 100)))) == "00"
    call(api, signed(ipn(payment, vnp_Amount=str((asked + came) * 100))))
    assert books(api, payment)["suspense"] == asked + came
    no = refused(say(api, of(api, payment), "CLOSE"), "TRANSITION_REFUSED")
    assert "REFUND" in no["message"]
    decide(api, payment, decision)
    left = books(api, payment)
    del left["gateway_clearing:vnpay"]
    paid = {"customer_receivable": asked, "customer_credit": came}
    assert left == (paid if account is None else {account: asked + came})


def test_money_that_came_after_an_amount_that_was_none_is_decided_with_it(api: Api) -> None:
    """Hard case 11: nothing at first, then too little; none of it is left behind without a case."""
    payment = api.paid(method="VNPAY_QR")
    assert call(api, signed(ipn(payment, vnp_Amount="0"))) == "04"
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert of(api, payment)["amount"] is None
    call(api, signed(ipn(payment, vnp_Amount=str((payment["amount"] - 700) * 100))))
    decide(api, payment, "CREDIT")
    assert books(api, payment)["customer_credit"] == payment["amount"] - 700


def test_after_all_this_every_invariant_of_the_books_holds(api: Api) -> None:
    """The last of this file: over everything that the tests above it have left."""
    told: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=told.append)
    )
    assert holds, "\n".join(told)
