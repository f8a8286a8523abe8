"""VNPay's own page, for merchants without QRs (`MOBINET_VNPAY__COMMAND=pay`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from domain.methods import GatewayName
from tests.support.running_api import CANCEL, VERIFY, Api, Sandbox, until

pytest_plugins = ["tests.support.running_api"]


@pytest.fixture(autouse=True)
def on_the_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    page = f"http://127.0.0.1:{api.settings.sandbox_port}/vnpay/paymentv2/vpcpay.html"
    monkeypatch.setattr(api.context.gateways[GatewayName.VNPAY], "_page", page)


@pytest.fixture
def payment(api: Api) -> dict[str, Any]:
    return api.new_payment(method="VNPAY_QR")


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        yield client


def state(api: Api, payment: dict[str, Any]) -> str:
    (row,) = api.rows("select status from payment where id = $1", payment["id"])
    return row["status"]


def test_the_customer_pays_there_and_comes_back_to_the_result(
    api: Api, payment: dict[str, Any], browser: httpx.Client
) -> None:
    assert (payment["status"], payment["qr"], payment["needsVerification"]) == (
        "PROCESSING",
        None,
        False,
    )
    chooser = browser.get(payment["paymentUrl"])
    assert urlsplit(str(chooser.url)).path.endswith("/PaymentMethod.html")
    back = browser.post(chooser.url, data={"outcome": "paid"})
    assert str(back.url).startswith(payment["confirmationLink"])
    assert "vnp_SecureHash=" in str(back.url)
    until(lambda: state(api, payment) == "SUCCESS", why="the IPN did not come")


def test_the_return_from_the_page_changes_nothing_by_itself(
    api: Api, sandbox: Sandbox, payment: dict[str, Any], browser: httpx.Client
) -> None:
    response = sandbox.pay(payment_url=payment["paymentUrl"], outcome="paid", drop_webhook=True)
    assert not response["webhooks"]
    page = browser.get(
        f"{payment['confirmationLink']}?vnp_ResponseCode=00&vnp_TransactionStatus=00"
    )
    assert page.is_success
    assert state(api, payment) == "PROCESSING"
    api.get(VERIFY, {"id": payment["id"]}, token=api.token("NV002"))
    assert state(api, payment) == "SUCCESS"


def test_a_page_that_nobody_opened_can_be_cancelled(api: Api, payment: dict[str, Any]) -> None:
    given = {"id": payment["id"], "reason": "customer pays in cash"}
    cancelled = api.get(CANCEL, given, token=api.token("NV002"))
    assert cancelled["payment"]["status"] == "CANCELLED", "91: VNPay does not know it"
