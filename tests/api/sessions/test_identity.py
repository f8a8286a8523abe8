"""OAuth for programs, and the published keys for verifying our signatures."""

from __future__ import annotations

import base64
import time
from typing import Any

import jwt
import pytest

from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

DASHBOARD = {"client_id": "dashboard", "client_secret": "dashboard-secret"}
GRANT = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def public_keys(api: Api) -> dict[str, Any]:
    keys = api.http.get("/.well-known/jwks.json").json()["keys"]
    return {key["kid"]: jwt.PyJWK(key).key for key in keys}


def claims(api: Api, token: str) -> dict[str, Any]:
    """Verify a token with the published keys; return its claims."""
    key = public_keys(api)[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["EdDSA"], audience="mobinet-api", issuer="mobinet")


@pytest.mark.parametrize("how", ["body", "basic"])
def test_a_program_gets_a_token_by_its_secret(api: Api, how: str) -> None:
    in_body = how == "body"
    answer = api.http.post(
        "/oauth/token",
        data=GRANT | (DASHBOARD if in_body else {}),
        headers={} if in_body else basic("dashboard", "dashboard-secret"),
    )
    assert answer.status_code == 200
    granted = answer.json()
    assert granted["token_type"] == "Bearer"
    assert 0 < granted["expires_in"] <= 900
    assert "refresh_token" not in granted
    assert answer.headers["cache-control"] == "no-store"
    found = claims(api, granted["access_token"])
    assert (found["sub"], found["role"]) == ("dashboard", "SERVICE")
    assert api.get("query { me { staffId role } }", token=granted["access_token"]) == {
        "staffId": "dashboard",
        "role": "SERVICE",
    }


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [("dashboard", "wrong"), ("unknown", "dashboard-secret"), ("dashboard", ""), ("", "")],
)
@pytest.mark.parametrize("how", ["body", "basic"])
def test_a_wrong_secret_is_refused_without_details(
    api: Api, client_id: str, secret: str, how: str
) -> None:
    in_body = {"client_id": client_id, "client_secret": secret} if how == "body" else {}
    headers = basic(client_id, secret) if how == "basic" else {}
    answer = api.http.post(
        "/oauth/token", data=GRANT | in_body, headers=headers | {"accept-language": "en"}
    )
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert "wrong" in answer.json()["error_description"]


def test_staff_can_refresh_a_session_there_too(api: Api) -> None:
    session = api.login("NV001")
    form = {"grant_type": "refresh_token", "refresh_token": session["refreshToken"]}
    granted = api.http.post("/oauth/token", data=form).json()
    assert claims(api, granted["access_token"])["sub"] == "NV001"
    assert granted["refresh_token"] != session["refreshToken"]
    again = api.http.post("/oauth/token", data=form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("given", [{"grant_type": "password"}, {"grant_type": "code"}])
def test_other_grant_types_are_refused(api: Api, given: dict[str, str]) -> None:
    answer = api.http.post("/oauth/token", data=given | DASHBOARD)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=refresh_token",
        b"grant_type=client_credentials&client_id=dash%00board",
        b"grant_type=client_credentials&client_id=\xff",
        b"grant_type=client_credentials&client_id=%ff",
        b"&".join(b"f%d=1" % n for n in range(20)),
        b"grant_type=" + b"x" * 20_000,
    ],
    ids=["repeated", "nul", "no text", "no text either", "too many", "too long"],
)
def test_an_invalid_form_is_refused(api: Api, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = api.http.post("/oauth/token", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_body_that_is_no_form_is_refused(api: Api) -> None:
    for answer in (
        api.http.post("/oauth/token", json=GRANT | DASHBOARD),
        api.http.post("/oauth/token"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_form_is_read_without_packages_that_only_tests_install(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starlette parses forms with a package that production does not have."""
    monkeypatch.setattr("starlette.requests.parse_options_header", None)
    assert api.http.post("/oauth/token", data=GRANT | DASHBOARD).status_code == 200


def test_the_published_keys_are_public_and_have_two_uses(api: Api) -> None:
    answer = api.http.get("/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys)
    assert len({key["x"] for key in keys}) == len(keys) >= 2
    assert "max-age" in answer.headers["cache-control"]


def test_a_token_names_its_owner_and_expiry_and_no_secret(api: Api) -> None:
    session = api.login("NV001")
    found = claims(api, session["accessToken"])
    assert set(found) == {
        "iss", "aud", "sub", "name", "role", "permissions", "team", "sid", "iat", "exp",
    }  # fmt: skip
    assert (found["sub"], found["role"], found["team"]) == ("NV001", "TIN_PNC", "HCM1")
    assert found["exp"] - found["iat"] <= 900
    assert abs(found["iat"] - time.time()) < 60
    assert "fpt." not in str(found)


def test_no_secret_is_stored_as_plain_text(api: Api) -> None:
    session = api.login("NV001")
    (row,) = api.rows(
        "select * from session where staff = 'NV001' order by created_at desc limit 1"
    )
    stored = b"".join(value for value in row.values() if isinstance(value, bytes))
    assert session["refreshToken"].encode() not in stored
    assert b"fpt.NV001" not in stored
    (client,) = api.rows("select secret_hash from api_client where client_id = 'dashboard'")
    assert b"dashboard-secret" not in client["secret_hash"]
