"""Repeated wrong passwords and secrets are throttled, and nobody else has to wait."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from resolvers import sessions
from tests.support.clocks import SetClock
from tests.support.requests.sessions import LOGOUT, cash, codes
from tests.support.running_api import LOGIN, PROCESS, Api, Sandbox

pytest_plugins = ["tests.support.running_api"]

MAX_GUESSES = 10


def log_in(
    api: Api, staff_id: str, password: str, *, http: httpx.Client | None = None
) -> dict[str, Any]:
    given = {"input": {"staffId": staff_id, "password": password}}
    answer = (http or api.http).post("/graphql", json={"query": LOGIN, "variables": given})
    return answer.json()


def outcome(answer: dict[str, Any]) -> str:
    if on_top := codes(answer):
        return on_top[0]
    payload = answer["data"]["login"]
    return "in" if payload["session"] else payload["errors"][0]["code"]


def guess(api: Api, staff_id: str) -> str:
    return outcome(log_in(api, staff_id, "guess" + secrets.token_hex(4)))


@pytest.fixture
def elsewhere(api: Api) -> Iterator[httpx.Client]:
    """Return a client of the API with another address."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=api.url, transport=transport, timeout=20) as http:
        yield http


@pytest.fixture
def staff_id(api: Api) -> str:
    return api.collector()


@pytest.fixture
def guessed_at(api: Api, staff_id: str) -> str:
    """Return a member of staff for whom this address has used all its guesses."""
    for _ in range(MAX_GUESSES):
        assert guess(api, staff_id) == "INVALID_CREDENTIALS"
    return staff_id


def test_too_many_guesses_have_to_wait_even_with_the_right_password(
    api: Api, sandbox: Sandbox, guessed_at: str
) -> None:
    last = sandbox.last_request
    assert guess(api, guessed_at) == "RATE_LIMITED"
    assert outcome(log_in(api, guessed_at, f"mobinet{guessed_at}")) == "RATE_LIMITED"
    assert sandbox.requests("staff", since=last) == [], "Staff Management is left alone"


def test_guesses_at_once_are_all_counted(api: Api, sandbox: Sandbox, staff_id: str) -> None:
    last = sandbox.last_request
    with ThreadPoolExecutor(20) as pool:
        outcomes = Counter(pool.map(lambda _: guess(api, staff_id), range(60)))
    assert outcomes == {"INVALID_CREDENTIALS": MAX_GUESSES, "RATE_LIMITED": 60 - MAX_GUESSES}
    assert len(sandbox.requests("staff", since=last)) == MAX_GUESSES


def test_only_wrong_passwords_are_counted(api: Api, sandbox: Sandbox, staff_id: str) -> None:
    for _ in range(MAX_GUESSES - 1):
        guess(api, staff_id)
    with sandbox.broken("staff", "refuse"):
        assert guess(api, staff_id) == "UPSTREAM_UNAVAILABLE"
    for _ in range(3):
        assert outcome(log_in(api, staff_id, f"mobinet{staff_id}")) == "in"
    assert guess(api, staff_id) == "INVALID_CREDENTIALS"
    assert guess(api, staff_id) == "RATE_LIMITED"


def test_guesses_are_throttled_for_one_name_and_one_address(
    api: Api, guessed_at: str, elsewhere: httpx.Client
) -> None:
    assert guess(api, guessed_at) == "RATE_LIMITED"
    somebody_else = api.collector()
    assert outcome(log_in(api, somebody_else, f"mobinet{somebody_else}")) == "in"
    assert outcome(log_in(api, guessed_at, f"mobinet{guessed_at}", http=elsewhere)) == "in"


def test_a_minute_after_the_first_guess_another_is_allowed(api: Api, guessed_at: str) -> None:
    async def in_a_minute() -> Any:
        return await api.context.clock() + timedelta(minutes=1)

    later = replace(api.context, clock=SetClock(in_a_minute))
    login = api.run(sessions.login(later, staff_id=guessed_at, password=f"mobinet{guessed_at}"))
    assert login.staff.staff_id == guessed_at


def test_a_throttled_login_is_not_audited_and_a_wrong_one_is(api: Api, staff_id: str) -> None:
    for _ in range(MAX_GUESSES):
        guess(api, staff_id)
    before = audited(api)
    for _ in range(5):
        assert guess(api, staff_id) == "RATE_LIMITED"
    assert audited(api) == before
    (rows,) = api.rows(
        "select count(*) from audit_event where action = 'login' and outcome = 'REFUSED'"
        " and details ->> 'who' = $1",
        staff_id,
    )
    assert rows["count"] == MAX_GUESSES


def token(http: httpx.Client, client_id: str, secret: str) -> httpx.Response:
    given = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return http.post("/oauth/token", data=given)


def test_a_program_that_guesses_is_throttled_too(api: Api, elsewhere: httpx.Client) -> None:
    for _ in range(MAX_GUESSES):
        assert token(elsewhere, "dashboard", "guess").status_code == 401
    for secret in ("guess", "dashboard-secret"):
        answer = token(elsewhere, "dashboard", secret)
        assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
    assert token(api.http, "dashboard", "dashboard-secret").status_code == 200


def audited(api: Api) -> int:
    (row,) = api.rows("select count(*) from audit_event")
    return row["count"]


@pytest.mark.parametrize("operation", ["processPayment", "logout"])
def test_an_anonymous_request_is_not_audited(api: Api, operation: str) -> None:
    variables = cash(api) if operation == "processPayment" else {}
    before = audited(api)
    answer = api.execute(PROCESS if operation == "processPayment" else LOGOUT, variables)
    assert codes(answer) == ["UNAUTHENTICATED"]
    assert audited(api) == before
