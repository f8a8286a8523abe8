"""A refusal because of an open breaker contains the time to wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stamina

from domain.gateways import GatewayUnavailable
from domain.methods import GatewayName
from tests.support.refusals import both_languages, check_sentence, warm, without_effect
from tests.support.running_api import OWED, PROCESS, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

LOGIN = """
mutation ($input: LoginInput!) { login(input: $input) {
  session { expiresAt }
  errors { code message ... on UpstreamUnavailable { system retryAfterMs } } } }
"""


@pytest.fixture(autouse=True)
def retries_at_once() -> Iterator[None]:
    """Let retries follow at once, in their normal number."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture(autouse=True)
def closed_breakers(api: Api) -> None:
    """Close every breaker."""
    context: Any = api.context
    for http in (
        context.staff_management._http,
        context.revenue._http,
        context.gateways[GatewayName.VNPAY]._http,
    ):
        http._breakers.by_operation.clear()


def is_a_wait(milliseconds: object) -> bool:
    return isinstance(milliseconds, int) and 0 < milliseconds <= 15_000


def log_in(api: Api, staff_id: str, language: str = "vi") -> dict[str, Any]:
    given = {"staffId": staff_id, "password": f"mobinet{staff_id}"}
    (refused,) = api.get(LOGIN, {"input": given}, language=language)["errors"]
    return refused


@both_languages
def test_an_open_breaker_of_staff_management_refuses_a_login(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    warm(api)
    with sandbox.broken("staff", "500"):
        first, second = (log_in(api, api.collector()) for _ in range(2))
        assert (first["code"], first["retryAfterMs"]) == ("UPSTREAM_UNAVAILABLE", None)
        assert is_a_wait(second["retryAfterMs"]), "it opened during the retries"
    last = sandbox.last_request
    with without_effect(api, sandbox, audit=1):
        refused = log_in(api, api.collector(), language)
    assert (refused["code"], refused["system"]) == ("UPSTREAM_UNAVAILABLE", "Staff Management")
    assert is_a_wait(refused["retryAfterMs"])
    check_sentence(refused["message"], language)
    assert sandbox.requests("staff", since=last) == []


def test_failed_logins_of_one_person_open_no_breaker_for_others(api: Api, sandbox: Sandbox) -> None:
    unlucky, other = api.collector(), api.collector()
    with sandbox.broken("staff", "500"):
        for _ in range(3):  # with retries these are twelve requests
            assert log_in(api, unlucky)["retryAfterMs"] is None
    assert api.login(other)["staff"]["staffId"] == other


@both_languages
def test_an_open_breaker_of_revenue_refuses_a_payment(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    warm(api)
    contract = api.contract()
    items = [{"type": "BILL", "id": "U1", "amount": 1}]
    with sandbox.broken("revenue", "500"):
        for _ in range(2):
            api.process_payment("NV002", contractNumber=api.contract(), items=items)
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment(
            "NV002", contractNumber=contract, items=items, language=language
        )
    (refused,) = payload["errors"]
    assert (refused["code"], refused["system"]) == ("UPSTREAM_UNAVAILABLE", "Revenue Management")
    assert is_a_wait(refused["retryAfterMs"])
    check_sentence(refused["message"], language)
    answer = api.execute(OWED, {"contract": contract}, token=api.token("SV001"))
    (on_top,) = answer["errors"]
    assert on_top["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    assert is_a_wait(on_top["extensions"]["details"]["retry_after_ms"])


@both_languages
def test_an_open_breaker_of_a_gateway_refuses_its_payment(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    warm(api)
    with sandbox.broken("vnpay", "500"):
        for contract in (api.contract(), api.contract()):
            for _ in range(3):
                _lose_qr(api, contract)
    contract = api.contract()
    items = api.owed(contract)[:1]
    last = sandbox.last_request
    with without_effect(api, sandbox, audit=1):
        payload = api.process_payment(
            "NV002", method="VNPAY_QR", contractNumber=contract, items=items, language=language
        )
    (refused,) = payload["errors"]
    assert (refused["code"], refused["gateway"]) == ("GATEWAY_UNAVAILABLE", "VNPAY")
    assert is_a_wait(refused["retryAfterMs"])
    assert "CASH" in refused["alternatives"]
    check_sentence(refused["message"], language)
    assert sandbox.requests("vnpay", since=last) == []
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "shop-secret"}
    shop = api.http.post("/oauth/token", data=form).json()["access_token"]
    answer = api.http.post(
        "/payments",
        json={"order_id": key(), "amount": 120_000, "method": "vnpay_qr"},
        headers={"authorization": f"Bearer {shop}"},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "GATEWAY_UNAVAILABLE")
    assert is_a_wait(error["details"]["retry_after_ms"])


def _lose_qr(api: Api, contract: str) -> None:
    """Start a QR whose answer is lost, and unlock its bill for the next one."""
    payload = api.process_payment("NV002", method="VNPAY_QR", contractNumber=contract)
    if payload["payment"] is not None:
        api.rows(
            "update payment_item set locked = false where payment = $1", payload["payment"]["id"]
        )


def test_a_breaker_that_opens_before_the_start_gives_the_wait(
    api: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway: Any = api.context.gateways[GatewayName.FPT_PAY]

    async def shut(*_: object, **__: object) -> None:
        raise GatewayUnavailable(gateway=GatewayName.FPT_PAY, retry_after_ms=1234)

    monkeypatch.setattr(gateway, "start", shut)
    contract = api.contract()
    given = {"idempotencyKey": key(), "contractNumber": contract, "method": "FPT_PAY"}
    given["items"] = api.owed(contract)[:1]
    payload = api.get(PROCESS, {"input": given}, token=api.token("NV002"))
    assert payload["payment"]["status"] == "FAILED"
    (refused,) = payload["errors"]
    assert (refused["code"], refused["retryAfterMs"]) == ("GATEWAY_UNAVAILABLE", 1234)
