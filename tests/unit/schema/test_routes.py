"""`MOBINET_ROUTES`: another gateway takes a method while its own does not work, and never once something was sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.methods import GatewayName, PaymentMethod
from tests.support.running_api import VERIFY, Api, Sandbox, until

pytest_plugins = ["tests.support.running_api"]

ROUTE = {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.BANK)}


@pytest.fixture(autouse=True)
def routed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.context.gateways, "_routes", ROUTE)


@pytest.fixture
def vnpay_is_down(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(api.context.gateways[GatewayName.VNPAY], "ready", lambda: False)
        yield


def kept(api: Api, payment: dict[str, Any]) -> tuple[Any, ...]:
    (row,) = api.rows(
        "select p.status, p.method, a.gateway from payment p join attempt a on a.payment = p.id"
        " where p.id = $1",
        payment["id"],
    )
    return tuple(row.values())


def test_its_own_gateway_takes_it_while_it_works(api: Api) -> None:
    payment = api.paid(method="VNPAY_QR")
    assert kept(api, payment) == ("PROCESSING", "VNPAY_QR", "VNPAY")


@pytest.mark.usefixtures("vnpay_is_down")
def test_the_next_one_takes_it_the_method_stays_and_the_gateway_tells(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.paid(method="VNPAY_QR")
    assert (payment["method"], payment["gateway"]) == ("VNPAY_QR", "BANK")
    assert "A000000727" in payment["qr"]["payload"], "a transfer's QR, by NAPAS"
    sandbox.pay(qr=payment["qr"]["payload"])
    until(lambda: kept(api, payment)[0] == "SUCCESS", why="the transfer did not pay it")
    assert kept(api, payment) == ("SUCCESS", "VNPAY_QR", "BANK")
    (posting,) = api.rows(
        "select debit, credit from posting join entry on entry.id = entry where payment = $1",
        payment["id"],
    )
    assert tuple(posting.values()) == ("bank", "customer_receivable")


def test_what_was_sent_is_asked_about_and_never_sent_to_another(api: Api, sandbox: Sandbox) -> None:
    with sandbox.broken("vnpay", "500", path="vpcpay", times=1, after_processing=True):
        payment = api.paid(method="VNPAY_QR")
    assert kept(api, payment) == ("PROCESSING", "VNPAY_QR", "VNPAY")
    assert (payment["needsVerification"], payment["qr"]) == (True, None)
    sandbox.pay(reference=payment["gatewayReference"], drop_webhook=True)
    told = api.get(VERIFY, {"id": payment["id"]}, token=api.token("NV002"))
    assert told["payment"]["status"] == "SUCCESS"
    found = [
        charge
        for charge in sandbox.truth["charges"]
        if charge["reference"] == payment["gatewayReference"]
    ]
    assert [item["gateway"] for item in found] == ["vnpay"]


@pytest.mark.usefixtures("vnpay_is_down")
def test_where_none_of_its_route_works_the_refusal_names_what_does(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (GatewayName.BANK, GatewayName.MOMO):
        monkeypatch.setattr(api.context.gateways[name], "ready", lambda: False)
    contract = api.contract()
    given = {"contractNumber": contract, "items": api.owed(contract)[:1]}
    token = api.token("NV002")
    assert token
    before = api.dump()
    (refused,) = api.pay(method="VNPAY_QR", **given)["errors"]
    assert (refused["code"], refused["gateway"]) == ("GATEWAY_UNAVAILABLE", "VNPAY")
    assert set(refused["alternatives"]) == {"CASH", "FPT_PAY", "CARD", "PAYPAL"}
    after = api.dump()
    assert {name for name in after if after[name] != before[name]} <= {"audit_event"}
