"""`MOBINET_ROUTES`: another gateway takes a payment while its own is down, unless it was sent."""

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


def stored(api: Api, payment: dict[str, Any]) -> tuple[Any, ...]:
    (row,) = api.rows(
        "select p.status, p.method, a.gateway from payment p join attempt a on a.payment = p.id"
        " where p.id = $1",
        payment["id"],
    )
    return tuple(row.values())


def test_a_methods_own_gateway_takes_the_payment_while_it_works(api: Api) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    assert stored(api, payment) == ("PROCESSING", "VNPAY_QR", "VNPAY")


@pytest.mark.usefixtures("vnpay_is_down")
def test_the_next_gateway_takes_the_payment_and_the_method_stays(
    api: Api, sandbox: Sandbox
) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    assert (payment["method"], payment["gateway"]) == ("VNPAY_QR", "BANK")
    assert "A000000727" in payment["qr"]["payload"], "a transfer's QR, by NAPAS"
    sandbox.pay(qr=payment["qr"]["payload"])
    until(lambda: stored(api, payment)[0] == "SUCCESS", why="the transfer did not pay it")
    assert stored(api, payment) == ("SUCCESS", "VNPAY_QR", "BANK")
    (posting,) = api.rows(
        "select debit, credit from posting join entry on entry.id = entry where payment = $1",
        payment["id"],
    )
    assert tuple(posting.values()) == ("bank", "customer_receivable")


def test_a_sent_payment_is_inquired_and_never_sent_to_another_gateway(
    api: Api, sandbox: Sandbox
) -> None:
    with sandbox.broken("vnpay", "500", path="vpcpay", times=1, after_processing=True):
        payment = api.new_payment(method="VNPAY_QR")
    assert stored(api, payment) == ("PROCESSING", "VNPAY_QR", "VNPAY")
    assert (payment["needsVerification"], payment["qr"]) == (True, None)
    sandbox.pay(reference=payment["gatewayReference"], drop_webhook=True)
    verified = api.get(VERIFY, {"id": payment["id"]}, token=api.token("NV002"))
    assert verified["payment"]["status"] == "SUCCESS"
    charges = [
        charge
        for charge in sandbox.truth["charges"]
        if charge["reference"] == payment["gatewayReference"]
    ]
    assert [charge["gateway"] for charge in charges] == ["vnpay"]


@pytest.mark.usefixtures("vnpay_is_down")
def test_where_no_gateway_of_the_route_works_the_refusal_names_other_methods(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (GatewayName.BANK, GatewayName.MOMO):
        monkeypatch.setattr(api.context.gateways[name], "ready", lambda: False)
    contract = api.contract()
    bills = {"contractNumber": contract, "items": api.owed(contract)[:1]}
    token = api.token("NV002")
    assert token
    before = api.dump()
    (refusal,) = api.process_payment(method="VNPAY_QR", **bills)["errors"]
    assert (refusal["code"], refusal["gateway"]) == ("GATEWAY_UNAVAILABLE", "VNPAY")
    assert set(refusal["alternatives"]) == {"CASH", "FPT_PAY", "CARD", "PAYPAL"}
    after = api.dump()
    assert {name for name in after if after[name] != before[name]} <= {"audit_event"}
