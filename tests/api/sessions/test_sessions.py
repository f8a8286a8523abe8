"""What ends a session, and what an open socket may do afterwards."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from tests.support.requests.sessions import LOGOUT, cash, codes
from tests.support.running_api import PROCESS, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

ME = "query { me { staffId } }"
REFRESH = """
mutation ($token: String!) { refreshSession(refreshToken: $token) {
  session { accessToken refreshToken } errors { code } } }
"""


def may_ask(api: Api, token: str) -> bool:
    answer = api.execute(ME, token=token)
    assert codes(answer) in ([], ["UNAUTHENTICATED"])
    return not codes(answer)


def refreshed(api: Api, token: str) -> dict[str, Any]:
    session = api.get(REFRESH, {"token": token})["session"]
    assert session, "refused"
    return session


def refused(api: Api, token: str) -> None:
    payload = api.get(REFRESH, {"token": token})
    assert payload["session"] is None
    assert [error["code"] for error in payload["errors"]] == ["INVALID_CREDENTIALS"]


def endings(api: Api, staff_id: str) -> list[str]:
    """Return the audited reasons for which sessions of this member of staff ended."""
    rows = api.rows(
        "select details from audit_event where action = 'endSession' and actor = $1", staff_id
    )
    return [json.loads(row["details"])["why"] for row in rows]


# ── refresh tokens ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("generation", range(4))
def test_a_replaced_token_of_any_generation_ends_its_session(api: Api, generation: int) -> None:
    staff_id = api.collector()
    tokens = [api.login(staff_id)]
    for _ in range(4):
        tokens.append(refreshed(api, tokens[-1]["refreshToken"]))
    assert may_ask(api, tokens[-1]["accessToken"])
    assert endings(api, staff_id) == []
    refused(api, tokens[generation]["refreshToken"])
    assert not any(may_ask(api, token["accessToken"]) for token in tokens)
    refused(api, tokens[-1]["refreshToken"])
    assert endings(api, staff_id) == ["reused"]


def test_a_reused_token_ends_no_other_session_of_its_owner(api: Api) -> None:
    staff_id = api.collector()
    first, second = api.login(staff_id), api.login(staff_id)
    refreshed(api, first["refreshToken"])
    refused(api, first["refreshToken"])
    assert may_ask(api, second["accessToken"])
    refreshed(api, second["refreshToken"])


def random(session: str, seal: str, _: str) -> str:
    return f"{session}.{secrets.token_urlsafe(60)}"


def nothing_known(_: str, __: str, ___: str) -> str:
    return secrets.token_urlsafe(60)


def with_the_seal_of_another_session(session: str, _: str, second: str) -> str:
    return f"{session}.{second}"


def changed(session: str, seal: str, _: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(seal + "=" * (-len(seal) % 4)))
    raw[-1] ^= 1
    return f"{session}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def cut(session: str, seal: str, _: str) -> str:
    return f"{session}.{seal[:-4]}"


def unsealed(session: str, _: str, __: str) -> str:
    return f"{session}."


def alone(session: str, _: str, __: str) -> str:
    return session


def in_other_letters(session: str, seal: str, _: str) -> str:
    return f"{session}.đ{seal}"


def with_nul(session: str, seal: str, _: str) -> str:
    return f"{session}\0.{seal}"


def empty(_: str, __: str, ___: str) -> str:
    return ""


FORGED = [
    random, nothing_known, with_the_seal_of_another_session, changed, cut, unsealed, alone,
    in_other_letters, with_nul, empty,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGED, ids=lambda item: item.__name__)
def test_a_token_with_a_wrong_seal_ends_no_session(
    api: Api, forge: Callable[[str, str, str], str]
) -> None:
    staff_id = api.collector()
    first, second = api.login(staff_id), api.login(staff_id)
    session, _, seal = first["refreshToken"].partition(".")
    refused(api, forge(session, seal, second["refreshToken"].partition(".")[2]))
    assert may_ask(api, first["accessToken"])
    assert may_ask(api, second["accessToken"])
    assert endings(api, staff_id) == []
    refreshed(api, first["refreshToken"])
    refreshed(api, second["refreshToken"])


def test_a_changed_role_counts_from_the_next_token(api: Api, sandbox: Sandbox) -> None:
    """Hard case 29."""
    by = api.collector()
    login = api.login(by)
    sandbox.change_staff(by, role="CASHIER")
    after = refreshed(api, login["refreshToken"])
    me = api.get("query { me { role } }", token=after["accessToken"])
    assert me["role"] == "CASHIER"
    contract = api.contract()
    given = {"idempotencyKey": key(), "contractNumber": contract, "method": "CASH"}
    given["items"] = api.owed(contract)[:1]
    assert codes(api.execute(PROCESS, {"input": given}, token=after["accessToken"])) == [
        "FORBIDDEN"
    ]


def test_a_member_of_staff_who_has_left_cannot_refresh_and_is_logged_out_at_once(api: Api) -> None:
    staff_id, gone = api.collector(), "NV9001"
    session = api.login(staff_id)
    api.rows(
        "insert into staff select (jsonb_populate_record(staff, jsonb_build_object('staff_id',"
        " $2::text))).* from staff where staff_id = $1",
        staff_id,
        gone,
    )
    named = session["refreshToken"].partition(".")[0]
    api.rows("update session set staff = $2 where id = $1", named, gone)
    refused(api, session["refreshToken"])
    assert not may_ask(api, session["accessToken"])
    assert endings(api, gone) == ["gone"]


def test_an_outage_of_staff_management_ends_no_session(api: Api, sandbox: Sandbox) -> None:
    staff_id = api.collector()
    session = api.login(staff_id)
    with sandbox.broken("staff", "refuse"):
        payload = api.get(REFRESH, {"token": session["refreshToken"]})
    assert [error["code"] for error in payload["errors"]] == ["UPSTREAM_UNAVAILABLE"]
    assert may_ask(api, session["accessToken"])
    assert endings(api, staff_id) == []
    refreshed(api, session["refreshToken"])


# ── an open socket ───────────────────────────────────────────────────────────────────────────────


@dataclass
class Socket:
    wire: ClientConnection

    def send(self, **frame: Any) -> None:
        self.wire.send(json.dumps(frame))

    def receive(self) -> dict[str, Any]:
        return json.loads(self.wire.recv(timeout=10))

    def execute(self, document: str, variables: dict[str, Any], id: str = "1") -> None:
        self.send(type="subscribe", id=id, payload={"query": document, "variables": variables})

    def closed(self) -> int:
        """Return the code with which the API closes the socket; it sends nothing before."""
        with pytest.raises(websockets.ConnectionClosed) as closed:
            self.receive()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


@pytest.fixture
def socket(api: Api, session: dict[str, Any]) -> Iterator[Socket]:
    url = api.url.replace("http", "ws") + "/graphql"
    subprotocol: Any = "graphql-transport-ws"
    with connect(url, subprotocols=[subprotocol]) as wire:
        opened = Socket(wire)
        opened.send(
            type="connection_init", payload={"authorization": f"Bearer {session['accessToken']}"}
        )
        assert opened.receive()["type"] == "connection_ack"
        yield opened


@pytest.fixture
def staff_id(api: Api) -> str:
    return api.collector()


@pytest.fixture
def session(api: Api, staff_id: str) -> dict[str, Any]:
    return api.login(staff_id)


def payments_of(api: Api, staff_id: str) -> int:
    (row,) = api.rows("select count(*) from payment where staff = $1", staff_id)
    return row["count"]


def test_an_open_socket_may_take_money(api: Api, socket: Socket, staff_id: str) -> None:
    socket.execute(PROCESS, cash(api))
    answer = socket.receive()
    assert answer["payload"]["data"]["processPayment"]["payment"]["status"] == "SUCCESS"
    assert socket.receive() == {"type": "complete", "id": "1"}
    assert payments_of(api, staff_id) == 1


@pytest.mark.parametrize("how", ["logout", "reuse"])
def test_after_its_session_has_ended_an_open_socket_takes_no_money_and_closes(
    api: Api, socket: Socket, session: dict[str, Any], staff_id: str, how: str
) -> None:
    socket.execute(ME, {})
    assert socket.receive()["payload"]["data"] == {"me": {"staffId": staff_id}}
    assert socket.receive()["type"] == "complete"
    if how == "logout":
        api.get(LOGOUT, token=session["accessToken"])
    else:
        refreshed(api, session["refreshToken"])
        refused(api, session["refreshToken"])
    variables = cash(api)
    socket.execute(PROCESS, variables)
    assert socket.closed() == 4401
    assert payments_of(api, staff_id) == 0
    (row,) = api.rows(
        "select count(*) from idempotency_key where key = $1", variables["input"]["idempotencyKey"]
    )
    assert row["count"] == 0


def test_a_logout_over_the_socket_ends_its_permissions(
    socket: Socket,
) -> None:
    socket.execute(LOGOUT, {})
    assert socket.receive()["payload"]["data"] == {"logout": {"ok": True}}
    assert socket.receive()["type"] == "complete"
    socket.execute(ME, {}, id="2")
    assert socket.closed() == 4401


def test_a_subscription_does_not_begin_after_a_logout(
    api: Api, socket: Socket, session: dict[str, Any]
) -> None:
    api.get(LOGOUT, token=session["accessToken"])
    socket.execute("subscription { limitChanged { kind } }", {})
    assert socket.closed() == 4401
