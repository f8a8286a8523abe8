"""Another program's notices on an account that we share: answered, counted, and no case of ours."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mobinet.verify import verify
from resolvers import webhooks
from tests.support.gateways.callers import FPTPay, VNPay, call_of, said, send
from tests.support.gateways.shared_accounts import (
    SHARED,
    THEIRS,
    VOICES,
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
def test_what_another_program_was_paid_is_answered_as_taken_and_is_no_case(
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
def test_a_foreign_notice_that_is_repeated_is_kept_once(api: Api, gateway: str) -> None:
    caller, event = VOICES[gateway], said(f"{THEIRS[gateway]}-again", 17_470)
    quarantined = len(webhooks._quarantined.get(gateway, ()))
    for _ in range(3):
        assert send(api, caller, call_of(caller, event)).status_code in {200, 204}
    (row,) = rows(api, event.reference)
    assert (row["outcome"], row["deliveries"]) == ("FOREIGN", 3)
    assert len(webhooks._quarantined.get(gateway, ())) == quarantined


@at_each
def test_what_is_ours_is_looked_up_first(api: Api, gateway: str) -> None:
    payment = api.paid(method=VOICES[gateway].method)
    (row,) = api.rows("select amount from attempt where payment = $1", payment["id"])
    assert tell(api, gateway, payment["gatewayReference"], row["amount"]) in {200, 204}
    assert outcomes(api, payment["gatewayReference"]) == ["HANDLED"]
    (row,) = api.rows("select status from payment where id = $1", payment["id"])
    assert row["status"] == "SUCCESS"


@at_each
def test_an_attempt_under_a_name_of_another_form_is_ours_all_the_same(
    api: Api, gateway: str
) -> None:
    payment = api.paid(method=VOICES[gateway].method)
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
    """Hard case 4: it waits for its payment, and is then a case."""
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
    payment = api.paid(method="VNPAY_QR")
    assert tell(api, gateway, payment["gatewayReference"]) == 404
    assert outcomes(api, payment["gatewayReference"]) == ["UNMATCHED"]


@at_each
def test_where_the_account_is_ours_alone_all_is_as_before(
    api: Api, gateway: str, unshared: None
) -> None:
    reference, before = f"{THEIRS[gateway]}-alone", cases(api)
    assert tell(api, gateway, reference) == 404
    assert outcomes(api, reference) == ["UNMATCHED"]
    an_hour_passes(api)
    assert (outcomes(api, reference), cases(api)) == (["DEAD"], before + 1)


@at_each
def test_what_waits_as_unknown_is_foreign_once_the_account_is_said_to_be_shared(
    api: Api, gateway: str
) -> None:
    reference, before, shared = f"{THEIRS[gateway]}-waits", cases(api), api.context
    api.app.state.context = replace(shared, terms=replace(shared.terms, shared=frozenset()))
    assert tell(api, gateway, reference) == 404
    api.app.state.context = shared
    an_hour_passes(api)
    assert (outcomes(api, reference), cases(api)) == (["FOREIGN"], before)


def test_a_gateway_whose_account_nobody_shares_refuses_it_as_before(api: Api) -> None:
    for caller in (VNPay(), FPTPay()):
        event = said("ORDER-778", 200_000)
        send(api, caller, call_of(caller, event))
        assert outcomes(api, "ORDER-778")[-1] == "UNMATCHED"


def test_the_desk_lists_what_was_foreign(api: Api) -> None:
    tell(api, "STRIPE", "ORDER-desk")
    desk = """query { webhookEvents(outcome: FOREIGN, gateway: STRIPE, first: 1) {
                edges { node { reference outcome } } } }"""
    found = api.get(desk, token=api.token("FI001"))
    assert [edge["node"] for edge in found["edges"]] == [
        {"reference": "ORDER-desk", "outcome": "FOREIGN"}
    ]


def test_a_forged_notice_is_no_foreign_one(api: Api) -> None:
    caller = VOICES["STRIPE"]
    call = call_of(caller, said("ORDER-forged", 1000))
    forged = replace(call, body=call.body.replace(b"ORDER-forged", b"ORDER-FORGED"))
    assert send(api, caller, forged).status_code == 400
    assert outcomes(api, "ORDER-FORGED") == []


def test_after_all_this_every_invariant_of_the_books_holds(api: Api) -> None:
    """The last of this file: over everything that the tests above it have left."""
    findings: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
