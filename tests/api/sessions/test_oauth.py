"""`POST /oauth/token` by RFC 6749: form-encoded credentials, challenges, errors."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from domain.staff import Role
from resolvers import sessions
from tests.support.refusals import without_effect
from tests.support.running_api import Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

GRANT = {"grant_type": "client_credentials"}
BASIC = 'Basic realm="mobinet", charset="UTF-8"'
CARD = "4111111111111111"


def ask(api: Api, given: dict[str, str], authorization: str | None = None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return api.http.post("/oauth/token", data=given, headers=headers)


def basic(pair: str | bytes) -> str:
    return f"Basic {b64encode(pair.encode() if isinstance(pair, str) else pair).decode()}"


def check_bare_error(answer: httpx.Response, status: int, code: str) -> None:
    """Check what every error of the endpoint has."""
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate") == (BASIC if status == 401 else None)


def check_error(answer: httpx.Response, status: int, code: str) -> str:
    """Check an error with a description; return the description."""
    check_bare_error(answer, status, code)
    assert set(answer.json()) == {"error", "error_description"}
    description = answer.json()["error_description"]
    assert re.fullmatch(r"[ !#-\[\]-~]{10,200}", description), description
    assert not re.search(r"staff|password|log in", description, re.IGNORECASE)
    return description


# Basic credentials


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("shop:1", "plain-secret"),
        ("shop", "a:b:c"),
        ("shop+vn", "p+q /r%2B&=?"),
        ("cửa hàng", "mật khẩu"),
        ("shop%", "100%"),
    ],
)
@pytest.mark.parametrize("encode", [quote_plus, lambda text: quote(text, safe="")])
def test_basic_credentials_are_form_decoded(
    api: Api, client_id: str, secret: str, encode: Any
) -> None:
    client_id, secret = f"{client_id} {key()}", f"{secret} {key()}"
    known = {"client_id": client_id, "name": "Shop", "role": Role.MERCHANT, "secret": secret}
    api.run(sessions.register_api_client(api.context, **known))
    answer = ask(api, GRANT, basic(f"{encode(client_id)}:{encode(secret)}"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "Bearer"
    in_body = GRANT | {"client_id": client_id, "client_secret": secret}
    assert ask(api, in_body).status_code == 200, "a form is decoded once"


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic "])
def test_credentials_that_need_no_encoding_are_as_before(api: Api, scheme: str) -> None:
    credentials = basic("dashboard:dashboard-secret").replace("Basic", scheme)
    assert ask(api, GRANT, credentials).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("dashboard:wrong"),
        basic("dashboard%20:dashboard-secret"),
        basic("dashboard:dashboard%2Dsecret%00"),
        basic("dash%00board:dashboard-secret"),
        basic("%ff:dashboard-secret"),
        basic(b"\xff:dashboard-secret"),
        basic("dashboard"),
        basic(":"),
        "Basic",
        "Basic nonsense",
    ],
)
def test_basic_credentials_that_are_wrong_or_none_are_challenged(
    api: Api, authorization: str
) -> None:
    """With Basic credentials the body's are ignored."""
    in_body = {"client_id": "dashboard", "client_secret": "dashboard-secret"}
    answer = ask(api, GRANT | in_body, authorization)
    assert "client" in check_error(answer, 401, "invalid_client")


@pytest.mark.parametrize("pair", [f"{CARD}:secret", f"shop:{CARD}", "4111+1111+1111+1111:secret"])
def test_a_card_number_in_credentials_is_refused_and_stored_nowhere(
    api: Api, sandbox: Sandbox, pair: str
) -> None:
    with without_effect(api, sandbox, audit=0):
        check_bare_error(ask(api, GRANT, basic(pair)), 400, "invalid_request")


# Errors


ERRORS: dict[str, tuple[dict[str, str], int, str]] = {
    "no grant": ({"scope": "all"}, 400, "invalid_request"),
    "an empty grant": ({"grant_type": ""}, 400, "invalid_request"),
    "an unknown grant": ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    "no client": (GRANT, 401, "invalid_client"),
    "an empty client": (GRANT | {"client_id": "", "client_secret": ""}, 401, "invalid_client"),
    "an unknown client": (
        GRANT | {"client_id": "unknown", "client_secret": "x"},
        401,
        "invalid_client",
    ),
    "no refresh token": ({"grant_type": "refresh_token"}, 400, "invalid_grant"),
    "an empty refresh token": (
        {"grant_type": "refresh_token", "refresh_token": ""},
        400,
        "invalid_grant",
    ),
    "another's refresh token": (
        {"grant_type": "refresh_token", "refresh_token": "SES_1.x"},
        400,
        "invalid_grant",
    ),
}


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(("given", "status", "code"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_described_in_english_in_any_language(
    api: Api, given: dict[str, str], status: int, code: str, language: str
) -> None:
    answer = api.http.post("/oauth/token", data=given, headers={"accept-language": language})
    check_error(answer, status, code)


def test_the_parameter_that_is_missing_is_named(api: Api) -> None:
    assert "grant_type" in check_error(ask(api, {"scope": "all"}), 400, "invalid_request")


def test_a_body_that_is_no_form_is_described_too(api: Api) -> None:
    check_error(api.http.post("/oauth/token", json=GRANT), 400, "invalid_request")


def test_guesses_are_throttled_and_a_refresh_without_staff_management_is_temporary(
    api: Api, sandbox: Sandbox
) -> None:
    session = api.login("NV001")
    given = {"grant_type": "refresh_token", "refresh_token": session["refreshToken"]}
    with sandbox.broken("staff", "500", probability=1):
        check_error(ask(api, given), 503, "temporarily_unavailable")
    guess = GRANT | {"client_id": f"guessed {key()}", "client_secret": "wrong"}
    codes = [ask(api, guess) for _ in range(30)]
    check_error(codes[-1], 429, "slow_down")


# Empty is absent


def test_empty_optional_parameters_are_absent(api: Api) -> None:
    empty = {"scope": "", "refresh_token": "", "client_id": "", "client_secret": ""}
    assert ask(api, GRANT | empty, basic("dashboard:dashboard-secret")).status_code == 200
    in_body = {"client_id": "dashboard", "client_secret": "dashboard-secret", "scope": ""}
    assert ask(api, GRANT | in_body).status_code == 200


def test_a_parameter_twice_is_refused_though_one_is_empty(api: Api) -> None:
    answer = api.http.post(
        "/oauth/token",
        content=b"grant_type=client_credentials&grant_type=",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    check_error(answer, 400, "invalid_request")


# The API's own 401


def test_a_call_without_a_token_is_challenged_and_a_wrong_token_named(api: Api) -> None:
    body = {"order_id": "A1", "amount": 1000, "method": "vnpay_qr"}
    for authorization, challenge in (
        ({}, 'Bearer realm="mobinet"'),
        ({"authorization": ""}, 'Bearer realm="mobinet"'),
        ({"authorization": "Bearer wrong"}, 'Bearer realm="mobinet", error="invalid_token"'),
    ):
        answer = api.http.post("/payments", json=body, headers=authorization)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == challenge
        assert answer.headers["cache-control"] == "no-store"


def test_no_other_refusal_challenges(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.token('NV002')}"}
    answer = api.http.post("/payments", json={"amount": 1}, headers=headers)
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers


def test_a_path_that_does_not_exist_is_not_cached(api: Api) -> None:
    for path, status in (("/oauth/token", 405), ("/nowhere", 404)):
        answer = api.http.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store")
