"""The `customer` query shows what its systems said lately, and says how old that is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from integrations.pubsub import RedisBroadcast
from resolvers import customers, display_cache
from resolvers.hub import Hub
from tests.support.clocks import SetClock
from tests.support.requests.orders import merchant_token
from tests.support.running_api import CANCEL, Api, Sandbox, until

pytest_plugins = ["tests.support.running_api"]

CUSTOMER = """
query ($contract: ID!) { customer(contractNumber: $contract) {
  name parts { name asOf stale } bills { billNumber status lock { paymentId } } fees { feeId }
  paymentHistory { transactionId } debt { totalDebt } totalOutstanding } }
"""
BILLS = "query ($contract: ID!) { bills(contractNumber: $contract) { billNumber status } }"
ALL = ["CUSTOMER", "BILLS", "FEES", "HISTORY", "DEBT"]
SYSTEMS = ["customer", "revenue", "debt"]


# Hints cross the databases of a Redis, so these contracts are touched by no other module.
NUMBERS = (number for number in itertools.count(7000) if number % 40 != 39)


@pytest.fixture
def contract() -> str:
    return f"SGFDN{next(NUMBERS)}"


def shown(api: Api, contract: str) -> Any:
    return api.get(CUSTOMER, {"contract": contract}, token=api.token("SV001"))


def calls(sandbox: Sandbox, since: int) -> int:
    return sum(len(sandbox.requests(system, since=since)) for system in SYSTEMS)


@pytest.fixture
def later(api: Api) -> Iterator[Any]:
    """Return a function that sets the API's clock some time ahead."""
    clock = api.context.clock

    def set_later(ahead: timedelta) -> None:
        async def read() -> datetime:
            return await clock() + ahead

        api.app.state.context = replace(api.context, clock=SetClock(read))

    yield set_later
    api.app.state.context = replace(api.context, clock=clock)


def test_a_second_look_asks_no_system_and_says_how_old_each_part_is(
    api: Api, sandbox: Sandbox, contract: str
) -> None:
    since = sandbox.last_request
    first = shown(api, contract)
    assert calls(sandbox, since) == len(ALL)
    assert [part["name"] for part in first["parts"]] == ALL
    assert not any(part["stale"] for part in first["parts"])
    assert shown(api, contract) == first
    assert calls(sandbox, since) == len(ALL)


def test_parts_are_those_that_the_query_reads(api: Api, contract: str) -> None:
    document = (
        "query ($contract: ID!) { customer(contractNumber: $contract)"
        " { parts { name } ... on Customer { debt { totalDebt } } } }"
    )
    answer = api.get(document, {"contract": contract}, token=api.token("SV001"))
    assert [part["name"] for part in answer["parts"]] == ["CUSTOMER", "DEBT"]


def test_after_five_minutes_the_systems_are_read_again(
    api: Api, sandbox: Sandbox, contract: str, later: Any
) -> None:
    shown(api, contract)
    since = sandbox.last_request
    later(timedelta(minutes=5))
    shown(api, contract)
    assert calls(sandbox, since) == len(ALL)


@pytest.mark.parametrize("fault", ["500", "refuse"])
def test_while_systems_are_away_an_hour_is_shown_as_stale(
    api: Api, sandbox: Sandbox, contract: str, later: Any, fault: str
) -> None:
    first = shown(api, contract)
    with sandbox.broken("revenue", fault, times=1000):
        later(timedelta(minutes=6))
        found = shown(api, contract)
        stale = {part["name"]: part["stale"] for part in found["parts"]}
        assert stale == {name: name in {"BILLS", "FEES", "HISTORY"} for name in ALL}
        for name in ("bills", "fees", "paymentHistory", "totalOutstanding"):
            assert found[name] == first[name]
        api.context.display_cache.drop(contract)
        answer = api.execute(CUSTOMER, {"contract": contract}, token=api.token("SV001"))
        assert [part["name"] for part in answer["data"]["customer"]["parts"]] == [
            "CUSTOMER",
            "DEBT",
        ]
        codes = {(error["path"][1], error["extensions"]["code"]) for error in answer["errors"]}
        failed = ("bills", "fees", "paymentHistory", "totalOutstanding")
        assert codes == {(name, "UPSTREAM_UNAVAILABLE") for name in failed}


def test_a_read_waits_for_a_silent_system_no_longer_than_its_time(
    api: Api, sandbox: Sandbox, contract: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customers, "READ_SECONDS", 0.3)
    with sandbox.broken("debt", "timeout", times=1000):
        started = time.monotonic()
        answer = api.execute(CUSTOMER, {"contract": contract}, token=api.token("SV001"))
        assert time.monotonic() - started < 5, "the call itself would take ten seconds"
    assert answer["data"]["customer"]["debt"] is None
    assert answer["data"]["customer"]["bills"]
    assert [error["path"] for error in answer["errors"]] == [["customer", "debt"]]


def test_a_payment_here_drops_the_contract(api: Api, sandbox: Sandbox, contract: str) -> None:
    first = shown(api, contract)
    other = shown(api, api.contract())
    since = sandbox.last_request
    paid = api.new_payment("NV002", contractNumber=contract)
    read_by_payment = calls(sandbox, since)
    found = shown(api, contract)
    assert calls(sandbox, since) == read_by_payment + len(ALL)
    number = paid["items"][0]["id"]
    (bill,) = [bill for bill in found["bills"] if bill["billNumber"] == number]
    assert bill["status"] == "PAID", "by our own table: Revenue does not know it yet"
    assert found["totalOutstanding"] == first["totalOutstanding"] - paid["amount"]
    assert other["parts"]


def test_a_lock_of_ours_shows_at_once_although_the_bills_are_remembered(
    api: Api, contract: str
) -> None:
    shown(api, contract)
    qr = api.new_payment("NV002", method="VNPAY_QR", contractNumber=contract)
    shown(api, contract)  # remembered again, with the lock
    given = {"id": qr["id"], "reason": "another way"}
    assert api.get(CANCEL, given, token=api.token("NV002"))["errors"] == []
    assert all(bill["lock"] is None for bill in shown(api, contract)["bills"])


def test_a_refused_payment_drops_what_no_longer_holds(
    api: Api, sandbox: Sandbox, contract: str
) -> None:
    shown(api, contract)
    sandbox.change_contract(contract, "terminated")
    payload = api.process_payment("NV002", contractNumber=contract)
    assert [error["code"] for error in payload["errors"]] == ["CONTRACT_INACTIVE"]
    document = "query ($c: ID!) { customer(contractNumber: $c) { contractStatus } }"
    found = api.get(document, {"c": contract}, token=api.token("SV001"))
    assert found == {"contractStatus": "TERMINATED"}


def test_bills_by_themselves_are_read_live(api: Api, sandbox: Sandbox, contract: str) -> None:
    for _ in range(2):
        since = sandbox.last_request
        api.get(BILLS, {"contract": contract}, token=api.token("SV001"))
        assert calls(sandbox, since) == 1


def test_another_processs_payment_drops_the_contract_here(
    api: Api, sandbox: Sandbox, contract: str
) -> None:
    shown(api, contract)
    since = sandbox.last_request

    async def announce_elsewhere() -> None:
        async with RedisBroadcast(api.settings.redis_url.get_secret_value()) as channel:
            await Hub(channel).publish(display_cache.CONTRACTS, contract)

    api.run(announce_elsewhere())
    until(lambda: shown(api, contract) and calls(sandbox, since) > 0, why="nothing was dropped")


def test_a_lost_connection_to_redis_drops_all(api: Api, sandbox: Sandbox, contract: str) -> None:
    shown(api, contract)
    since = sandbox.last_request

    async def resync() -> None:
        api.context.hub.wake(display_cache.CONTRACTS, display_cache.RESYNC)

    api.run(resync())
    until(lambda: shown(api, contract) and calls(sandbox, since) > 0, why="nothing was dropped")


def test_who_may_not_read_customers_reads_none_from_memory(api: Api, contract: str) -> None:
    shown(api, contract)
    for token in (None, merchant_token(api)):
        answer = api.execute(CUSTOMER, {"contract": contract}, token=token)
        assert answer["data"] is None
        assert answer == api.execute(CUSTOMER, {"contract": api.contract()}, token=token)
