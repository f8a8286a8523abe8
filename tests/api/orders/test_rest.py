"""`POST /payments`: a merchant's payment over the documented REST call."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from domain.methods import GatewayName
from tests.support.refusals import check_sentence, without_effect
from tests.support.requests.orders import effects, shop
from tests.support.running_api import Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

__all__ = ["shop"]


def post(api: Api, token: str | None, body: Any, **headers: str) -> httpx.Response:
    if token:
        headers["authorization"] = f"Bearer {token}"
    return api.http.post("/payments", json=body, headers=headers)


def test_the_documented_call_creates_the_order_and_opens_its_payment(api: Api, shop: str) -> None:
    body = {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"}
    answer = post(api, shop, body, **{"idempotency-key": "k" * 20 + key()})
    assert answer.status_code == 201
    shown = answer.json()
    assert shown | body == shown
    assert shown["status"] == "processing"
    assert shown["payment_url"] is None
    page = api.http.get(shown["confirmation_link"], headers={"accept": "text/html"})
    assert "data:image/svg+xml;base64," in page.text  # the QR
    again = post(api, shop, body)
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "BILL_LOCKED"
    assert again.json()["error"]["details"]["payment_id"] == shown["transaction_id"]


def test_the_same_key_over_rest_is_the_same_payment(api: Api, shop: str) -> None:
    body, headers = (
        {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"},
        {"idempotency-key": key()},
    )
    first, again = post(api, shop, body, **headers), post(api, shop, body, **headers)
    assert first.json() == again.json()
    before = effects(api)
    other = post(api, shop, body | {"order_id": key()}, **headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert effects(api) == before, "no order either"


def test_no_order_is_made_for_a_payment_that_is_refused(
    api: Api, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merchant may correct the amount and send the same reference again."""
    body = {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"}
    before, known = effects(api), api.context
    with monkeypatch.context() as patch:
        patch.setattr(known.gateways[GatewayName.VNPAY], "ready", lambda: False)
        assert post(api, shop, body).status_code == 503
    api.app.state.context = replace(known, terms=replace(known.terms, usd_rate=None))
    try:
        assert post(api, shop, body | {"method": "paypal"}).status_code == 503
    finally:
        api.app.state.context = known
    assert effects(api) == before
    paid = post(api, shop, body | {"amount": 95_000})
    assert (paid.status_code, paid.json()["amount"]) == (201, 95_000)


def test_one_reference_paid_by_many_at_once_is_one_order_and_one_payment(
    api: Api, shop: str
) -> None:
    body = {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"}
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: post(api, shop, body), range(12)))
    (won,) = [answer.json() for answer in answers if answer.status_code == 201]
    lost = [answer for answer in answers if answer.status_code == 409]
    assert len(lost) == 11
    assert {item.json()["error"]["details"]["payment_id"] for item in lost} == {
        won["transaction_id"]
    }
    rows = api.rows("select id from merchant_order where reference = $1", body["order_id"])
    assert len(rows) == 1


@pytest.mark.parametrize("empty", [None, "", " "])
def test_an_empty_return_address_is_absent(api: Api, shop: str, empty: str | None) -> None:
    body, headers = (
        {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"},
        {"idempotency-key": key()},
    )
    first = post(api, shop, body | {"return_url": empty}, **headers)
    assert first.status_code == 201
    assert post(api, shop, body, **headers).json() == first.json(), "the same request"
    (row,) = api.rows(
        "select return_url from payment where id = $1", first.json()["transaction_id"]
    )
    assert row["return_url"] is None


def test_a_quoted_key_is_the_key_inside_the_quotes(api: Api, shop: str) -> None:
    """In RFC 8941 a string is quoted, and a quote or backslash in it is escaped."""
    for within, written in (
        (plain := f"key-{key()}", f'"{plain}"'),
        (f'a"b\\c {plain}', f'"a\\"b\\\\c {plain}"'),
    ):
        body = {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"}
        quoted = post(api, shop, body, **{"idempotency-key": written})
        assert quoted.status_code == 201, quoted.text
        again = post(api, shop, body, **{"idempotency-key": within})
        assert again.json() == quoted.json()
        (row,) = api.rows(
            "select key from idempotency_key where subject_id = $1", quoted.json()["transaction_id"]
        )
        assert row["key"] == within


@pytest.mark.parametrize(
    ("written", "audit"),
    [
        ("", 1),
        ('""', 1),
        ('"short"', 1),
        (f'"{"k" * 129}"', 1),
        ('"', 0),
        ('"never-closed-0123456789', 0),
        ('"closed-0123456789" and more', 0),
        ('"closed-0123456789";a=1', 0),
        ('"two", "of-them-0123456789"', 0),
        ('"a-lonely-backslash-\\n"', 0),
        ('"a-last-backslash-0123456789\\"', 0),
    ],
)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_key_that_is_empty_or_badly_quoted_is_refused_and_pays_nothing(
    api: Api, sandbox: Sandbox, shop: str, written: str, audit: int, language: str
) -> None:
    body = {"order_id": key(), "amount": 1000, "method": "vnpay_qr"}
    headers = {"idempotency-key": written, "accept-language": language}
    with without_effect(api, sandbox, audit=audit):
        answer = post(api, shop, body, **headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "INVALID_INPUT")
    assert error["details"] == {"field": "idempotencyKey"}
    check_sentence(error["message"], language)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"order_id": "A1", "amount": None, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": "", "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "", "amount": 1000, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": 1000, "method": ""}, 400, "INVALID_INPUT"),
        (
            {"order_id": "A1", "amount": 1000, "method": "vnpay_qr", "return_url": 0},
            400,
            "INVALID_INPUT",
        ),
        ({"order_id": "A1", "amount": 1.5, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": "1000", "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": 2**53, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": -1, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": 1000, "method": "cash"}, 400, "INVALID_INPUT"),
        ({"order_id": "A1", "amount": 1000, "method": "bitcoin"}, 400, "INVALID_INPUT"),
        ({"amount": 1000, "method": "vnpay_qr"}, 400, "INVALID_INPUT"),
        ([], 400, "BAD_USER_INPUT"),
        (
            {"order_id": "A1", "amount": 1000, "method": "card", "card": "4111 1111 1111 1111"},
            400,
            "BAD_USER_INPUT",
        ),
    ],
)
def test_a_bad_body_is_refused_and_leaves_nothing(
    api: Api, sandbox: Sandbox, shop: str, body: Any, status: int, expected: str
) -> None:
    with without_effect(api, sandbox, audit=1 if expected == "INVALID_INPUT" else 0):
        answer = post(api, shop, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, expected)


@pytest.mark.parametrize(
    ("who", "status", "expected", "audit"),
    [
        (lambda _: None, 401, "UNAUTHENTICATED", 0),
        (lambda api: api.token("NV002"), 403, "FORBIDDEN", 1),
    ],
)
def test_only_a_merchant_may_post_a_payment(
    api: Api,
    sandbox: Sandbox,
    who: Callable[[Api], str | None],
    status: int,
    expected: str,
    audit: int,
) -> None:
    token = who(api)
    with without_effect(api, sandbox, audit=audit):
        answer = post(api, token, {"order_id": "A1", "amount": 1000, "method": "vnpay_qr"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, expected)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "vietnamese", "english"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND", "Không tìm thấy dữ liệu.", "Not found."),
        ("PUT", "/payments", 405, "BAD_USER_INPUT", "Hãy dùng: POST.", "Use one of: POST."),
    ],
)
def test_an_unknown_path_or_method_is_answered_in_the_format_of_errors(
    api: Api, method: str, path: str, status: int, code: str, vietnamese: str, english: str
) -> None:
    for language, words in (("vi", vietnamese), ("en", english)):
        answer = api.http.request(method, path, headers={"accept-language": language})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.json()["error"]["message"].endswith(words)
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
