"""What an API process remembers of tokens and sessions never outlives their end by long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from db import sessions as stored
from integrations.keys import KeyRing, derive_key
from resolvers import open_sessions, tokens, verified_tokens
from tests.support.requests.sessions import LOGOUT, codes
from tests.support.running_api import PROCESS, Api, key, statements, until

pytest_plugins = ["tests.support.running_api"]

ME = "query { me { staffId } }"


def token_of(api: Api, staff_id: str | None = None) -> str:
    return api.login(staff_id or api.collector())["accessToken"]


def session_of(api: Api, token: str) -> str:
    verified = api.context.verified_tokens.find(tokens.digest(token))
    assert verified is not None
    assert verified.actor.session is not None
    return verified.actor.session


def is_refused(api: Api, token: str) -> bool:
    answer = api.execute(ME, token=token)
    assert codes(answer) in ([], ["UNAUTHENTICATED"])
    return bool(codes(answer))


def end_elsewhere(api: Api, session: str) -> None:
    """End the session as another process does."""
    api.rows("update session set ended_at = now() where id = $1", session)


@pytest.mark.usefixtures("late_looks_are_trusted")
def test_a_remembered_session_takes_no_statement(api: Api) -> None:
    token = token_of(api)
    assert not is_refused(api, token)
    with statements() as found:
        api.execute("query { __typename }", token=token)
    assert found.seen == []


def test_a_session_that_ended_elsewhere_is_refused_soon(api: Api) -> None:
    token = token_of(api)
    assert not is_refused(api, token)
    end_elsewhere(api, session_of(api, token))
    until(lambda: is_refused(api, token), why="the session is still open")


@pytest.mark.usefixtures("late_looks_are_trusted")
def test_a_session_that_ended_elsewhere_moves_no_money_from_that_moment(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process does not look while this test runs, so that it still counts it as open."""

    async def look_at_nothing(ids: Any, _: Any) -> set[str]:
        return set(ids)

    monkeypatch.setattr(stored, "still_open", look_at_nothing)
    staff_id = api.collector()
    token, contract = token_of(api, staff_id), api.contract()
    given = {
        "idempotencyKey": key(),
        "contractNumber": contract,
        "method": "CASH",
        "items": api.owed(contract)[:1],
    }
    assert not is_refused(api, token)
    end_elsewhere(api, session_of(api, token))
    assert not is_refused(api, token), "the process remembers the session"
    answer = api.execute(PROCESS, {"input": given}, token=token)
    assert codes(answer) == ["UNAUTHENTICATED"]
    assert api.rows("select from payment where staff = $1", staff_id) == []
    assert api.rows("select from idempotency_key where actor_id = $1", staff_id) == []


def test_a_process_whose_looks_fail_reads_each_session(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> set[str]:
        raise ConnectionResetError

    token = token_of(api)
    assert not is_refused(api, token)
    session = session_of(api, token)
    monkeypatch.setattr(stored, "still_open", fail)
    monkeypatch.setattr(open_sessions, "TRUSTED_SECONDS", 0.0)  # instead of waiting for 3 s
    end_elsewhere(api, session)
    assert is_refused(api, token)


def test_a_logout_is_known_at_once_in_its_own_process(api: Api) -> None:
    token = token_of(api)
    assert not is_refused(api, token)
    api.execute(LOGOUT, token=token)
    assert is_refused(api, token)


def test_a_remembered_token_is_gone_with_its_key(api: Api) -> None:
    token = token_of(api)
    assert not is_refused(api, token)
    before = api.context
    other = KeyRing([derive_key(b"another", "tokens")])
    api.app.state.context = replace(before, keys=replace(before.keys, tokens=other))
    try:
        assert is_refused(api, token)
    finally:
        api.app.state.context = before


def test_no_more_tokens_are_remembered_than_the_bound(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_tokens, "MAX_VERIFIED", 2)
    monkeypatch.setattr(open_sessions, "MAX_REMEMBERED", 2)
    fresh = replace(
        api.context,
        verified_tokens=verified_tokens.VerifiedTokens(),
        open_sessions=open_sessions.OpenSessions(),
    )
    before, api.app.state.context = api.context, fresh
    try:
        logins = [token_of(api) for _ in range(4)]
        assert not any(is_refused(api, token) for token in logins)
        assert len(fresh.verified_tokens._tokens) == 2
        assert len(fresh.open_sessions._until) == 2
    finally:
        api.app.state.context = before
