"""A token that we did not issue, or whose session has ended, is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

ME = "query { me { staffId } }"


def claims(api: Api, **but: Any) -> dict[str, Any]:
    decoded = jwt.decode(api.token("NV002"), options={"verify_signature": False})
    return {name: value for name, value in (decoded | but).items() if value is not None}


def signing_key(api: Api) -> Any:
    return api.context.keys.tokens.signing


def _unsigned(header: dict[str, Any], payload: dict[str, Any]) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(payload)}"


def by_another_key(api: Api) -> str:
    return jwt.encode(
        claims(api), Ed25519PrivateKey.generate(), "EdDSA", {"kid": signing_key(api).id}
    )


def by_no_key(api: Api) -> str:
    return _unsigned({"alg": "none", "typ": "JWT", "kid": signing_key(api).id}, claims(api)) + "."


def by_the_public_key(api: Api) -> str:
    """Return a token signed by HS256, with the public key as its secret."""
    public = signing_key(api).public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    text = _unsigned({"alg": "HS256", "typ": "JWT", "kid": signing_key(api).id}, claims(api))
    seal = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"


def by_the_receipts_key(api: Api) -> str:
    key = api.context.keys.receipts.signing
    return jwt.encode(claims(api), key.private, "EdDSA", {"kid": key.id})


def signed(api: Api, **but: Any) -> str:
    return jwt.encode(
        claims(api, **but), signing_key(api).private, "EdDSA", {"kid": signing_key(api).id}
    )


FORGED = {
    "another key": by_another_key,
    "no key": by_no_key,
    "the public key": by_the_public_key,
    "the receipts' key": by_the_receipts_key,
    "expired": lambda api: signed(api, exp=int(time.time()) - 1),
    "for another audience": lambda api: signed(api, aud="somebody-else"),
    "from another issuer": lambda api: signed(api, iss="somebody-else"),
    "no expiry": lambda api: signed(api, exp=None),
    "no role": lambda api: signed(api, role=None),
    "an unknown role": lambda api: signed(api, role="ROOT"),
    "an unknown session": lambda api: signed(api, sid="SES_UNKNOWN"),
    "an unknown kid": lambda api: jwt.encode(
        claims(api), signing_key(api).private, "EdDSA", {"kid": "?"}
    ),
    "no kid": lambda api: jwt.encode(claims(api), signing_key(api).private, "EdDSA"),
    "half of it": lambda api: api.token("NV002")[:-10],
    "garbage": lambda _: "garbage",
    "no text": lambda _: "đ" * 3,
}


def test_the_real_token_works(api: Api) -> None:
    assert api.get(ME, token=signed(api)) == {"staffId": "NV002"}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_that_we_did_not_issue_is_refused(api: Api, forge: Any) -> None:
    headers = {"authorization": b"Bearer " + forge(api).encode()}
    assert proves_nothing(api.http.post("/graphql", json={"query": ME}, headers=headers).json())


REFRESH = """
mutation ($token: String!) { refreshSession(refreshToken: $token) {
  session { accessToken refreshToken } errors { code } } }
"""


def proves_nothing(answer: dict[str, Any]) -> bool:
    return [item["extensions"]["code"] for item in answer.get("errors", [])] == ["UNAUTHENTICATED"]


def test_a_session_that_was_ended_is_over_at_once_for_all_of_its_tokens(api: Api) -> None:
    session = api.login("NV001")
    api.get("mutation { logout { ok } }", token=session["accessToken"])
    assert proves_nothing(api.execute(ME, token=session["accessToken"]))
    again = api.get(REFRESH, {"token": session["refreshToken"]})
    assert again["errors"][0]["code"] == "INVALID_CREDENTIALS"


def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(api: Api) -> None:
    old = api.login("NV001")
    new = api.get(REFRESH, {"token": old["refreshToken"]})["session"]
    assert api.get(ME, token=new["accessToken"]) == {"staffId": "NV001"}
    stolen = api.get(REFRESH, {"token": old["refreshToken"]})
    assert stolen["errors"][0]["code"] == "INVALID_CREDENTIALS"
    assert proves_nothing(api.execute(ME, token=new["accessToken"]))
