"""Another program's notices on a shared account are answered and counted, without a case."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mobinet.verify import verify
from resolvers import webhooks
from tests.support.gateways.callers import FPTPay, VNPay, call_of, new_notice, send
from tests.support.gateways.shared_accounts import (
    CALLERS,
    SHARED,
    THEIRS,
    an_hour_passes,
    api_settings,
    at_each,
    cases,
    counted,
    different,
    introduced,
    outcomes,
    rows,
    tell,
    unshared,
)
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["api_settings", "introduced", "unshared"]  # fixtures of this module alone

# ── notices ──────────────────────────────────────────────────────────────────────────────────────


@at_each
@pytest.mark.parametrize("outcome", ["paid", "declined"])
def test_a_payment_of_another_program_is_answered_as_accepted_and_is_no_case(
    api: Api, gateway: str, outcome: str
) -> None:
    before, foreign = api.dump(), counted(api, gateway, "FOREIGN")
    reference = f"{THEIRS[gateway]}-{outcome}"
    assert tell(api, gateway, reference, outcome=outcome) in {200, 204}
    assert outcomes(api, reference) == ["FOREIGN"]
    assert counted(api, gateway, "FOREIGN") == foreign + 1
    an_hour_passes(api)
    assert outcomes(api, reference) == ["FOREIGN"]
    assert different(before, api.dump()) == {"webhook_event"}


@at_each
def test_a_foreign_notice_that_is_repeated_is_stored_once(api: Api, gateway: str) -> None:
    caller, event = CALLERS[gateway], new_notice(f"{THEIRS[gateway]}-again", 17_470)
    quarantined = len(webhooks._quarantined.get(gateway, ()))
    for _ in range(3):
        assert send(api, caller, call_of(caller, event)).status_code in {200, 204}
    (row,) = rows(api, event.reference)
    assert (row["outcome"], row["deliveries"]) == ("FOREIGN", 3)
    assert len(webhooks._quarantined.get(gateway, ())) == quarantined


@at_each
def test_our_own_payments_are_looked_up_first(api: Api, gateway: str) -> None:
    payment = api.new_payment(method=CALLERS[gateway].method)
    (row,) = api.rows("select amount from attempt where payment = $1", payment["id"])
    assert tell(api, gateway, payment["gatewayReference"], row["amount"]) in {200, 204}
    assert outcomes(api, payment["gatewayReference"]) == ["HANDLED"]
    (row,) = api.rows("select status from payment where id = $1", payment["id"])
    assert row["status"] == "SUCCESS"


@at_each
def test_an_attempt_under_a_reference_of_another_form_is_ours(api: Api, gateway: str) -> None:
    payment = api.new_payment(method=CALLERS[gateway].method)
    reference = f"OLD-{gateway}-1"
    api.rows(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) select $1, payment, gateway, status, amount, currency,"
        " created_at + interval '1 second', expires_at, 0 from attempt where payment = $2",
        reference,
        payment["id"],
    )
    (row,) = api.rows("select amount from attempt where reference = $1", reference)
    assert tell(api, gateway, reference, row["amount"]) in {200, 204}
    assert outcomes(api, reference) == ["HANDLED"]


@at_each
@pytest.mark.parametrize("form", ["MB01K1ABCDEFGH23{}", "mb01k1abcdefgh23{}", "MBSTRAY000000000{}"])
def test_a_reference_of_our_form_without_an_attempt_stays_unknown(
    api: Api, gateway: str, form: str
) -> None:
    """Hard case 4: it waits for its payment, and then becomes a case."""
    reference = form.format(f"{SHARED.index(gateway):04}")
    before = cases(api)
    assert tell(api, gateway, reference) == 404
    assert outcomes(api, reference) == ["UNMATCHED"]
    an_hour_passes(api)
    assert outcomes(api, reference) == ["DEAD"]
    assert cases(api) == before + 1


@at_each
def test_an_attempt_at_another_gateway_is_of_our_form_and_stays_unknown(
    api: Api, gateway: str
) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    assert tell(api, gateway, payment["gatewayReference"]) == 404
    assert outcomes(api, payment["gatewayReference"]) == ["UNMATCHED"]


@at_each
def test_nothing_is_foreign_where_the_account_is_ours_alone(
    api: Api, gateway: str, unshared: None
) -> None:
    reference, before = f"{THEIRS[gateway]}-alone", cases(api)
    assert tell(api, gateway, reference) == 404
    assert outcomes(api, reference) == ["UNMATCHED"]
    an_hour_passes(api)
    assert (outcomes(api, reference), cases(api)) == (["DEAD"], before + 1)


@at_each
def test_an_unmatched_event_becomes_foreign_when_the_account_is_marked_as_shared(
    api: Api, gateway: str
) -> None:
    reference, before, shared = f"{THEIRS[gateway]}-waits", cases(api), api.context
    api.app.state.context = replace(shared, terms=replace(shared.terms, shared=frozenset()))
    assert tell(api, gateway, reference) == 404
    api.app.state.context = shared
    an_hour_passes(api)
    assert (outcomes(api, reference), cases(api)) == (["FOREIGN"], before)


def test_a_gateway_whose_account_is_not_shared_refuses_a_foreign_reference(api: Api) -> None:
    for caller in (VNPay(), FPTPay()):
        event = new_notice("ORDER-778", 200_000)
        send(api, caller, call_of(caller, event))
        assert outcomes(api, "ORDER-778")[-1] == "UNMATCHED"


def test_the_list_of_events_shows_foreign_ones(api: Api) -> None:
    tell(api, "STRIPE", "ORDER-desk")
    desk = """query { webhookEvents(outcome: FOREIGN, gateway: STRIPE, first: 1) {
                edges { node { reference outcome } } } }"""
    found = api.get(desk, token=api.token("FI001"))
    assert [edge["node"] for edge in found["edges"]] == [
        {"reference": "ORDER-desk", "outcome": "FOREIGN"}
    ]


def test_a_forged_notice_is_not_foreign(api: Api) -> None:
    caller = CALLERS["STRIPE"]
    call = call_of(caller, new_notice("ORDER-forged", 1000))
    forged = replace(call, body=call.body.replace(b"ORDER-forged", b"ORDER-FORGED"))
    assert send(api, caller, forged).status_code == 400
    assert outcomes(api, "ORDER-FORGED") == []


def test_every_invariant_holds_after_the_tests_above(api: Api) -> None:
    """The last test of this module checks what all tests above it have written."""
    findings: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
