"""Each kind of request has its own lane: where one is full, the others still answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from schema.graphql.admission import Lane
from tests.support.documents import CANCEL, LOGIN, VERIFY
from tests.support.requests.orders import shop
from tests.support.running_api import PROCESS, Api, Sandbox, Socket, key

pytest_plugins = ["tests.support.running_api"]

__all__ = ["shop"]

ME = "{ me { staffId } }"
REFRESH = (
    "mutation ($token: String!) { refreshSession(refreshToken: $token)"
    " { session { accessToken } errors { code } } }"
)
LANES = ("reads", "writes", "urgent", "webhooks", "logins")


@contextmanager
def full(api: Api, *names: str) -> Iterator[None]:
    """Take every place of these lanes, and let nobody wait in them."""
    lanes: list[Lane] = [getattr(api.app.state.lanes, name) for name in names]
    sizes = [lane.size for lane in lanes]

    async def take() -> None:
        for lane in lanes:
            for _ in range(lane.size.places):
                await lane.enter()
            lane.size = replace(lane.size, line=0)

    async def give_back() -> None:
        for lane, size in zip(lanes, sizes, strict=True):
            lane.size = size
            for _ in range(size.places):
                lane.leave()

    api.run(take())
    try:
        yield
    finally:
        api.run(give_back())


def others(name: str) -> tuple[str, ...]:
    return tuple(lane for lane in LANES if lane != name)


@pytest.fixture(scope="module")
def tokens(api: Api, shop: str) -> dict[str, str]:
    """Log in before the lanes are full."""
    return {"NV002": api.token("NV002"), "shop": shop}


def code(answer: dict[str, Any]) -> str | None:
    return answer["errors"][0]["extensions"]["code"] if answer.get("errors") else None


def reads(api: Api, tokens: dict[str, str]) -> str | None:
    return code(api.execute(ME, token=tokens["NV002"]))


def pays(api: Api, tokens: dict[str, str], given: dict[str, Any]) -> str | None:
    return code(api.execute(PROCESS, {"input": given}, token=tokens["NV002"]))


def logs_in_a_socket(api: Api, tokens: dict[str, str]) -> int | None:
    with Socket(api, tokens["NV002"]) as socket:
        try:
            assert socket.next()["type"] == "connection_ack"
        except Exception:
            return socket._socket.close_code
    return None


@pytest.fixture
def cash(api: Api) -> dict[str, Any]:
    contract = api.contract()
    return {
        "idempotencyKey": key(),
        "contractNumber": contract,
        "method": "CASH",
        "items": api.owed(contract)[:1],
    }


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_payment_without_a_place_leaves_nothing_and_its_key_pays_later(
    api: Api, tokens: dict[str, str], cash: dict[str, Any], language: str
) -> None:
    before = api.dump()
    with full(api, "writes"):
        answer = api.execute(PROCESS, {"input": cash}, token=tokens["NV002"], language=language)
        assert code(answer) == "OVERLOADED"
        assert api.dump() == before
    payload = api.get(PROCESS, {"input": cash}, token=tokens["NV002"])
    assert (payload["payment"]["status"], payload["replayed"]) == ("SUCCESS", False)


def test_reads_wait_for_no_other_lane(api: Api, tokens: dict[str, str]) -> None:
    with full(api, *others("reads")):
        assert reads(api, tokens) is None
    with full(api, "reads"):
        assert reads(api, tokens) == "OVERLOADED"


def test_payments_wait_for_no_other_lane(
    api: Api, tokens: dict[str, str], cash: dict[str, Any]
) -> None:
    with full(api, *others("writes")):
        assert pays(api, tokens, cash) is None


@pytest.mark.parametrize(
    "document", [CANCEL, VERIFY, "mutation ($id: ID!) { ...F } fragment F on Mutation"]
)
def test_what_ends_a_payment_waits_for_no_read_and_no_payment(
    api: Api, tokens: dict[str, str], document: str
) -> None:
    if document.endswith("Mutation"):
        document += ' { cancelPayment(id: $id, reason: "by a fragment") { errors { code } } }'
    payment = api.new_payment("NV002", method="VNPAY_QR")
    variables = {"id": payment["id"], "reason": "changed their mind"}
    with full(api, *others("urgent")):
        assert code(api.execute(document, variables, token=tokens["NV002"])) is None
    with full(api, "urgent"):
        answer = api.execute(document, variables, token=tokens["NV002"])
        assert code(answer) == "OVERLOADED"


def test_a_token_is_renewed_whatever_else_waits(api: Api) -> None:
    session = api.login(api.collector())
    with full(api, *others("urgent")):
        answer = api.execute(REFRESH, {"token": session["refreshToken"]})
        assert answer["data"]["refreshSession"]["errors"] == []
        given = {"staffId": "NV001", "password": "mobinetNV001"}
        assert code(api.execute(LOGIN, {"input": given})) == "OVERLOADED", "a login is none"


def test_a_webhook_waits_for_no_other_lane(api: Api, sandbox: Sandbox) -> None:
    payment = api.new_payment("NV002", method="VNPAY_QR")
    with full(api, *others("webhooks")):
        sandbox.pay(reference=payment["gatewayReference"])
    assert api.rows("select status from payment where id = $1", payment["id"])[0][0] == "SUCCESS"


@pytest.mark.parametrize(
    ("path", "status"),
    [("vnpay", 200), ("fpt-pay", 500), ("momo", 500), ("stripe", 500), ("paypal", 500)],
)
def test_a_webhook_without_a_place_is_to_be_sent_again(api: Api, path: str, status: int) -> None:
    before = api.dump()
    with full(api, "webhooks"):
        is_query = path == "vnpay"
        method, body = ("GET", b"") if is_query else ("POST", b"{}")
        answer = api.http.request(method, f"/webhooks/{path}", content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["retry-after"] in {"1", "2", "3"}
    assert api.dump() == before
    if is_query:
        assert answer.json()["RspCode"] == "99"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/.well-known/jwks.json"])
def test_health_waits_for_nothing(api: Api, path: str) -> None:
    with full(api, *LANES):
        assert api.http.get(path).status_code == 200


def rest_paths(shop: str) -> dict[str, Callable[[Api], Any]]:
    body = {"order_id": key(), "amount": 90_000, "method": "vnpay_qr"}
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "shop-secret"}
    return {
        "writes": lambda api: api.http.post(
            "/payments", json=body, headers={"authorization": f"Bearer {shop}"}
        ),
        "urgent": lambda api: api.http.post("/oauth/token", data=form),
        "reads": lambda api: api.http.get("/pay/unknown"),
    }


@pytest.mark.parametrize("lane", ["writes", "urgent", "reads"])
def test_a_path_of_rest_answers_503_without_a_place(api: Api, shop: str, lane: str) -> None:
    call = rest_paths(shop)[lane]
    before = api.dump()
    with full(api, lane):
        answer = call(api)
        assert api.dump() == before
    assert answer.status_code == 503
    assert answer.headers["retry-after"] in {"1", "2", "3"}
    error = answer.json()["error"]
    assert error == "temporarily_unavailable" or error["code"] == "OVERLOADED"
    with full(api, *others(lane)):
        assert call(api).status_code != 503


def test_a_socket_without_a_place_closes_with_1013_before_it_is_acknowledged(
    api: Api, tokens: dict[str, str]
) -> None:
    with full(api, "logins"):
        assert logs_in_a_socket(api, tokens) == 1013
    with full(api, *others("logins")):
        assert logs_in_a_socket(api, tokens) is None
