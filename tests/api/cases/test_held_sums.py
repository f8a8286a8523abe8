"""Money of another amount than the hold: its case is decided with all of the money."""

from __future__ import annotations

import asyncio

import pytest

from mobinet.verify import verify
from tests.support.gateways.calls import call, ipn, signed, state
from tests.support.requests.cases import SUSPICION, of
from tests.support.requests.decisions import books, decide, refused, vote
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]


@pytest.mark.parametrize(
    ("excess", "decision", "account"),
    [(700, "CREDIT", "customer_credit"), (-700, "REFUND", "refunds_payable"), (700, "APPLY", None)],
)
def test_money_of_another_amount_than_the_suspicion_is_decided_with_its_case(
    api: Api, excess: int, decision: str, account: str | None
) -> None:
    """Hard case 16: no money is left without a case."""
    payment = api.new_payment(method="VNPAY_QR")
    requested = payment["amount"]
    assert (
        call(api, signed(ipn(payment, **SUSPICION, vnp_Amount=str((requested - 900) * 100))))
        == "00"
    )
    call(api, signed(ipn(payment, vnp_Amount=str((requested + excess) * 100))))
    assert books(api, payment)["suspense"] == requested + excess
    refusal = refused(vote(api, of(api, payment), "CLOSE"), "TRANSITION_REFUSED")
    assert "REFUND" in refusal["message"]
    decide(api, payment, decision)
    left = books(api, payment)
    del left["gateway_clearing:vnpay"]
    paid = {"customer_receivable": requested, "customer_credit": excess}
    assert left == (paid if account is None else {account: requested + excess})


def test_money_after_an_amount_of_zero_is_decided_with_its_case(api: Api) -> None:
    """Hard case 11: first an amount of zero, then too little; no money is left without a case."""
    payment = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(payment, vnp_Amount="0"))) == "04"
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    assert of(api, payment)["amount"] is None
    call(api, signed(ipn(payment, vnp_Amount=str((payment["amount"] - 700) * 100))))
    decide(api, payment, "CREDIT")
    assert books(api, payment)["customer_credit"] == payment["amount"] - 700


def test_every_invariant_holds_after_the_tests_above(api: Api) -> None:
    """The last test of this module checks what all tests above it have written."""
    report: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert holds, "\n".join(report)
