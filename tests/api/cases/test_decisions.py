"""
Two people decide about money that does not fit its payment.

Hard cases 6 (paid late), 9 (too little), 10 (too much), 11 (another currency) and 16 (suspicious).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from domain.money import Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from mobinet.verify import verify
from resolvers import jobs, payment_evidence
from tests.support.gateways.calls import call, ipn, notice, notify, signed, state
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import SUSPICION, TOO_LATE, of, seen
from tests.support.requests.decisions import Payment, books, decide, is_free, refunds, refused, vote
from tests.support.requests.held_payments import paid_little, suspected, suspected_and_paid
from tests.support.running_api import CANCEL, Api, Sandbox

pytest_plugins = ["tests.support.running_api"]


# ── held: too little, in another currency, suspicious ────────────────────────────────────────────


def paid_in_dollars(api: Api, sandbox: Sandbox) -> Payment:
    """Hard case 11."""
    wallet = api.new_payment(method="FPT_PAY")
    assert notify(api, notice(wallet, currency="USD", amount=1000)).status_code == 200
    assert state(api, wallet) == ("PROCESSING", "CURRENCY_MISMATCH")
    return wallet


def test_too_little_is_refunded_and_the_bill_can_be_collected_again(
    api: Api, sandbox: Sandbox
) -> None:
    """Hard case 9: two people decide REFUND."""
    payment = api.new_payment(method="VNPAY_QR")
    sandbox.pay(reference=payment["gatewayReference"], amount=payment["amount"] - 1000)
    came = payment["amount"] - 1000
    decide(api, payment, "REFUND")
    assert state(api, payment) == ("CANCELLED", None)
    assert books(api, payment) == {"gateway_clearing:vnpay": -came, "refunds_payable": came}
    assert refunds(api, sandbox, payment) == [came]
    assert books(api, payment) == {}
    assert is_free(api, payment)


def test_too_little_is_credited_and_the_bill_can_be_collected_again(
    api: Api, sandbox: Sandbox
) -> None:
    """Hard case 9: two people decide CREDIT."""
    payment = paid_little(api, sandbox)
    came = payment["amount"] - 1000
    decide(api, payment, "CREDIT")
    assert state(api, payment) == ("CANCELLED", None)
    assert books(api, payment) == {"gateway_clearing:vnpay": -came, "customer_credit": came}
    assert is_free(api, payment)


@both_languages
def test_too_little_never_pays_the_bill_whoever_decides(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    """Hard case 9: the first vote is already refused, with both amounts."""
    payment = paid_little(api, sandbox)
    case = of(api, payment)
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "APPLY", language=language)
    refusal = refused(payload, "AMOUNT_MISMATCH", language)
    assert (refusal["expected"], refusal["amountAsked"]) == (
        payment["amount"],
        payment["amount"] - 1000,
    )


@both_languages
def test_a_case_with_money_in_suspense_cannot_be_closed(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    case = of(api, paid_little(api, sandbox))
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "CLOSE", language=language)
    refused(payload, "TRANSITION_REFUSED", language)


def test_two_partial_payments_pay_the_bill_only_when_two_people_decide_so(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    part = payment["amount"] // 2
    for amount in (part, payment["amount"] - part + 700):
        call(api, signed(ipn(payment, vnp_Amount=str(amount * 100))))
    assert state(api, payment) == ("PROCESSING", "AMOUNT_MISMATCH")
    second, first = [item for item in seen(api, first=100) if item["paymentId"] == payment["id"]]
    assert (first["kind"], second["kind"]) == ("AMOUNT_MISMATCH", "PAID_TWICE")
    for by in ("FI001", "FI002"):
        assert vote(api, first, "APPLY", by)["errors"] == []
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_receivable"] == payment["amount"]
    assert books(api, payment)["suspense"] == 700, "the excess of the other case"
    for by in ("FI001", "FI002"):
        assert vote(api, second, "CREDIT", by)["errors"] == []
    assert books(api, payment)["customer_credit"] == 700


@pytest.mark.parametrize("booked", [suspected, suspected_and_paid])
def test_a_suspicious_payment_that_two_people_apply_succeeds_and_is_recorded(
    api: Api, sandbox: Sandbox, booked: Callable[..., Payment]
) -> None:
    """Hard case 16: APPLY; where nothing was booked, two people assert that it was paid."""
    payment = booked(api, sandbox)
    decide(api, payment, "APPLY")
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment) == {
        "gateway_clearing:vnpay": -payment["amount"],
        "customer_receivable": payment["amount"],
    }
    assert api.run(jobs.record_payment(api.context, payment["id"])) is None
    records = [record["transaction_id"] for record in sandbox.truth["records"]]
    assert records.count(payment["id"]) == 1
    assert not is_free(api, payment)


def test_money_that_two_people_asserted_is_not_booked_again_when_the_gateway_reports_it(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    doubtful = ipn(payment, **SUSPICION)
    assert call(api, signed(doubtful)) == "00"
    decide(api, payment, "APPLY")
    before = books(api, payment)
    call(api, signed(doubtful | {"vnp_ResponseCode": "00", "vnp_TransactionStatus": "00"}))
    assert books(api, payment) == before


@pytest.mark.parametrize("method", ["VNPAY_QR", "CARD", "PAYPAL"])
def test_the_first_number_reported_for_an_asserted_payment_becomes_its_own(
    api: Api, method: str
) -> None:
    """The id of a page or an order is not the number of a payment."""
    payment = api.new_payment(method=method)
    reference = payment["gatewayReference"]

    def apply_result(result: GatewayResult, number: str | None = None) -> None:
        (row,) = api.rows("select amount, currency from attempt where reference = $1", reference)
        money = Money(row["amount"], Currency(row["currency"])) if number else None
        grade = EvidenceSource.INQUIRY if number else None
        evidence = Evidence(
            source=grade, origin="test", result=result, money=money, gateway_id=number
        )
        api.run(payment_evidence.apply(api.context, reference, evidence))

    apply_result(GatewayResult.GAVE_UP)
    decide(api, payment, "APPLY")
    before = books(api, payment)
    for number in ("N1", "N1"):
        apply_result(GatewayResult.PAID, number)
        assert (state(api, payment), books(api, payment)) == (("SUCCESS", None), before)
    (row,) = api.rows("select gateway_id, paid_under from attempt where reference = $1", reference)
    assert tuple(row) == ("N1", ["N1"])
    apply_result(GatewayResult.PAID, "N2")
    assert of(api, payment)["kind"] == "PAID_TWICE"


@pytest.mark.parametrize("decision", ["CREDIT", "REFUND"])
def test_without_money_there_is_nothing_to_credit_or_refund(
    api: Api, sandbox: Sandbox, decision: str
) -> None:
    case = of(api, suspected(api, sandbox))
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, decision)
    refused(payload, "TRANSITION_REFUSED")


def test_late_money_is_still_found_after_a_suspicion_was_closed(api: Api, sandbox: Sandbox) -> None:
    """Hard case 16: CLOSE; hard case 6: money that comes later is recorded."""
    payment = suspected(api, sandbox)
    decide(api, payment, "CLOSE")
    assert state(api, payment) == ("CANCELLED", None)
    assert books(api, payment) == {}
    follow_ups = api.rows(
        "select 1 from pgqueuer where entrypoint = 'follow_up' and payload = $1",
        f'{{"subject":"{payment["id"]}"}}'.encode(),
    )
    assert follow_ups
    sandbox.pay(reference=payment["gatewayReference"])
    api.run(jobs.inquire(api.context, payment["id"]))
    (row,) = api.rows("select status, late from payment where id = $1", payment["id"])
    assert tuple(row) == ("SUCCESS", True)


def test_dollars_are_refunded_by_accounting_and_pay_no_bill(api: Api, sandbox: Sandbox) -> None:
    """Hard case 11."""
    payment = paid_in_dollars(api, sandbox)
    case = of(api, payment)
    assert (case["amount"], case["suggestion"]) == (None, "REFUND")
    for decision in ("APPLY", "CREDIT", "CLOSE"):
        with without_effect(api, sandbox, audit=1):
            payload = vote(api, case, decision)
        refused(payload, "TRANSITION_REFUSED")
    decide(api, payment, "REFUND")
    assert state(api, payment) == ("CANCELLED", None)
    (row,) = api.rows(
        "select status, amount, currency from reversal where payment = $1", payment["id"]
    )
    assert tuple(row) == ("DONE", 1000, "USD")
    assert "suspense" not in books(api, payment)


def test_too_much_pays_the_bill_and_opens_no_case(api: Api, sandbox: Sandbox) -> None:
    """Hard case 10: the bill is paid, the excess is credited, and there is no case."""
    payment = api.new_payment(method="VNPAY_QR")
    sandbox.pay(reference=payment["gatewayReference"], amount=payment["amount"] + 500)
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_credit"] == 500
    assert [item for item in seen(api, first=100) if item["paymentId"] == payment["id"]] == []


# ── late, and twice ──────────────────────────────────────────────────────────────────────────────


def paid_late_for_a_bill_paid_otherwise(api: Api, sandbox: Sandbox) -> Payment:
    """Hard case 6."""
    qr = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(qr, **TOO_LATE))) == "00"
    api.new_payment(contractNumber=qr["contractNumber"], items=qr["items"])
    sandbox.pay(reference=qr["gatewayReference"])
    api.run(jobs.inquire(api.context, qr["id"]))
    assert of(api, qr)["kind"] == "LATE_MONEY"
    return qr


@pytest.mark.parametrize(
    ("decision", "account"), [("CREDIT", "customer_credit"), ("REFUND", "refunds_payable")]
)
def test_late_money_for_a_bill_paid_otherwise_is_credited_or_refunded(
    api: Api, sandbox: Sandbox, decision: str, account: str
) -> None:
    """Hard case 6."""
    payment = paid_late_for_a_bill_paid_otherwise(api, sandbox)
    assert of(api, payment)["suggestion"] == "REFUND"
    decide(api, payment, decision)
    assert state(api, payment) == ("EXPIRED", None)
    assert books(api, payment)[account] == payment["amount"]
    assert "suspense" not in books(api, payment)


def test_late_money_does_not_pay_a_bill_twice(api: Api, sandbox: Sandbox) -> None:
    """Hard case 6."""
    case = of(api, paid_late_for_a_bill_paid_otherwise(api, sandbox))
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, "APPLY")
    assert "CREDIT" in refused(payload, "TRANSITION_REFUSED")["message"]


def test_late_money_pays_a_bill_that_is_open_again(api: Api, sandbox: Sandbox) -> None:
    """Hard case 6: two people decide what the program no longer does by itself."""
    qr = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(qr, **TOO_LATE))) == "00"
    other = api.new_payment(
        contractNumber=qr["contractNumber"], items=qr["items"], method="VNPAY_QR"
    )
    sandbox.pay(reference=qr["gatewayReference"])
    api.run(jobs.inquire(api.context, qr["id"]))
    reason = {"id": other["id"], "reason": "customer left"}
    assert api.get(CANCEL, reason, token=api.token("NV002"))["errors"] == []
    assert of(api, qr)["suggestion"] == "APPLY"
    decide(api, qr, "APPLY")
    (row,) = api.rows("select status, late from payment where id = $1", qr["id"])
    assert tuple(row) == ("SUCCESS", True)
    assert not is_free(api, qr)


def test_a_second_payment_of_one_reference_is_credited_and_the_first_stays(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    for _ in range(2):
        assert call(api, signed(ipn(payment))) == "00"
    assert of(api, payment)["kind"] == "PAID_TWICE"
    refusal = refused(vote(api, of(api, payment), "APPLY"), "INVALID_INPUT")
    assert refusal["field"] == "decision"
    decide(api, payment, "CREDIT")
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment) == {
        "gateway_clearing:vnpay": -2 * payment["amount"],
        "customer_receivable": payment["amount"],
        "customer_credit": payment["amount"],
    }


def test_every_invariant_holds_after_the_tests_above(api: Api) -> None:
    """The last test of this module checks what all tests above it have written."""
    report: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert holds, "\n".join(report)
