"""The HTTP client: calls that are not connected, unanswered, retried, or stopped by the breaker."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from integrations.http import client
from integrations.http.breaker import BreakerState
from integrations.http.client import Timeouts, Tls, Upstream
from integrations.http.failures import BreakerOpen, NotConnected, Unanswered, Unreadable
from integrations.http.messages import Answer, Request
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Act, Counterpart, says

INTERRUPTIONS = {
    "silence": acts.silence,
    "reset": acts.reset,
    "truncated": acts.truncated,
    "endless": acts.endless_answer,
    "500": acts.server_error,
    "unreadable": acts.not_json,
}


def read_object(answer: Answer) -> Answer:
    if not answer.body.startswith(b"{"):
        raise Unreadable("body: json_invalid")
    return answer


async def call(http: Upstream, *, repeatable: bool = False, operation: str = "op") -> Answer:
    request = Request(
        operation=operation, method="GET", path="/x", subject=None, repeatable=repeatable
    )
    return await http.call(request, read_object)


@pytest.mark.parametrize("act", INTERRUPTIONS.values(), ids=INTERRUPTIONS)
async def test_a_sent_request_without_an_answer_is_unanswered(
    counterpart: Counterpart, act: Act
) -> None:
    http = Upstream("upstream", counterpart.url, timeouts=Timeouts(read=0.2, total=0.4))
    counterpart.always(act)
    with pytest.raises(Unanswered):
        await call(http)
    assert len(counterpart.seen) == 1
    await http.aclose()


async def test_a_request_that_is_never_read_is_unanswered(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.reads_nothing = True
    with pytest.raises(Unanswered):
        await call(http)


async def test_a_closed_port_is_not_connected(counterpart: Counterpart, http: Upstream) -> None:
    await counterpart.close()
    with pytest.raises(NotConnected):
        await call(http)
    assert http.snapshot()[0].calls == 4  # an unsent request is always retried


async def test_a_call_that_ends_while_it_connects_is_not_connected() -> None:
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    http = Upstream(
        "upstream", f"https://127.0.0.1:{port}", timeouts=Timeouts(connect=0.2, total=0.2)
    )
    with pytest.raises(NotConnected):  # the TLS handshake never ends
        await call(http)
    await http.aclose()
    listener.close()


async def test_a_repeatable_request_is_retried_three_times(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.will(acts.server_error, acts.reset, acts.not_json)
    counterpart.always(says({"well": True}))
    assert (await call(http, repeatable=True)).ok
    assert len(counterpart.seen) == 4


async def test_after_three_retries_the_call_ends(counterpart: Counterpart, http: Upstream) -> None:
    counterpart.always(acts.server_error)
    with pytest.raises(Unanswered):
        await call(http, repeatable=True)
    assert len(counterpart.seen) == 4


async def test_a_call_stays_unanswered_when_its_retry_cannot_connect(
    counterpart: Counterpart, http: Upstream
) -> None:
    async def close_and_reset(seen: acts.Seen, connection: acts.Connection) -> None:
        await counterpart.close()
        await acts.reset(seen, connection)

    counterpart.always(close_and_reset)
    with pytest.raises(Unanswered):
        await call(http, repeatable=True)


async def test_all_retries_together_end_in_time(counterpart: Counterpart) -> None:
    http = Upstream("upstream", counterpart.url, timeouts=Timeouts(read=60, total=0.3))
    counterpart.always(acts.silence)
    async with asyncio.timeout(20):
        with pytest.raises(Unanswered):
            await call(http, repeatable=True)
    await http.aclose()


async def test_a_4xx_is_an_answer_and_not_a_failure(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.always(says({}, 422))
    for _ in range(10):
        assert (await call(http, repeatable=True)).status == 422
    assert len(counterpart.seen) == 10
    assert http.snapshot()[0].state is BreakerState.CLOSED


async def test_after_five_failures_in_a_row_nothing_is_sent(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.always(acts.server_error)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await call(http)
    with pytest.raises(BreakerOpen) as error:
        await call(http)
    assert 0 < error.value.retry_after_ms <= 15_000
    assert len(counterpart.seen) == 5
    assert not http.ready("op")


async def test_the_breaker_of_one_operation_does_not_stop_another(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.will(*[acts.server_error] * 5)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await call(http, operation="start")
    assert (await call(http, operation="inquire")).ok
    assert not http.ready("start")
    assert http.ready("inquire")


async def test_one_probe_is_sent_when_the_breaker_is_half_open(counterpart: Counterpart) -> None:
    http = Upstream("upstream", counterpart.url, timeouts=Timeouts(read=1, total=2), open_for=0.05)
    counterpart.will(*[acts.server_error] * 5)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await call(http)
    await asyncio.sleep(0.06)
    results = await asyncio.gather(*[call(http) for _ in range(20)], return_exceptions=True)
    assert sum(isinstance(result, Answer) for result in results) == 1
    assert sum(isinstance(result, BreakerOpen) for result in results) == 19
    assert (await call(http)).ok
    await http.aclose()


async def test_a_cancelled_call_leaves_the_breaker_usable(counterpart: Counterpart) -> None:
    http = Upstream("upstream", counterpart.url, timeouts=Timeouts(read=5), open_for=0.01)
    counterpart.will(*[acts.server_error] * 5, acts.silence)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await call(http)
    await asyncio.sleep(0.02)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await call(http)
    assert (await call(http)).ok
    await http.aclose()


async def test_the_request_id_is_sent(counterpart: Counterpart, http: Upstream) -> None:
    client.request_id.set("req-7")
    await call(http)
    assert counterpart.seen[0].headers["x-request-id"] == "req-7"


async def test_no_log_error_or_repr_holds_a_secret(
    counterpart: Counterpart, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    http = Upstream(
        "upstream", counterpart.url, headers={"X-Api-Key": "s3cret"}, timeouts=Timeouts(read=0.2)
    )
    counterpart.will(acts.reset, says({"phone": "0987654321"}, 500), says({"token": "s3cret"}))
    request = Request(
        operation="op",
        method="POST",
        path="/x",
        query="phone=0987654321",
        body={"password": "s3cret"},
        headers={"Authorization": "Bearer s3cret"},
        subject="0987654321",
    )
    with capture_logs() as logs:
        text = repr(http) + repr(request)
        for _ in range(2):
            with pytest.raises(Unanswered) as failure:
                await http.call(request, read_object)
            text += repr(failure.value) + str(failure.value)
        text += repr(await call(http))
    text += str(logs) + caplog.text + repr(http.snapshot())
    assert logs
    assert "s3cret" not in text
    assert "0987654321" not in text
    await http.aclose()


async def test_both_sides_present_their_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("mobinet@client")
    files = {name: str(tmp_path / name) for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    client.cert_chain_pems[0].write_to_path(files["cert"])
    client.private_key_pem.write_to_path(files["key"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    counterpart = Counterpart()
    await counterpart.open(tls)

    known = Upstream("upstream", counterpart.url, tls=Tls(**files))
    assert (await call(known)).ok
    unknown = Upstream("upstream", counterpart.url, tls=Tls(ca=files["ca"]))
    with pytest.raises((NotConnected, Unanswered)):
        await call(unknown)
    distrustful = Upstream(
        "upstream", counterpart.url, tls=Tls(cert=files["cert"], key=files["key"])
    )
    with pytest.raises(NotConnected):
        await call(distrustful)
    for http in (known, unknown, distrustful):
        await http.aclose()
    await counterpart.close()


async def test_a_lack_of_our_own_connections_counts_in_no_breaker(
    counterpart: Counterpart,
) -> None:
    timeouts = Timeouts(place=0.1, read=5.0, total=5.0)
    http = Upstream("upstream", counterpart.url, timeouts=timeouts, places=1)
    counterpart.always(acts.silence)
    holder = asyncio.ensure_future(call(http))
    while not counterpart.seen:
        await asyncio.sleep(0)
    for _ in range(6):
        with pytest.raises(NotConnected):
            await call(http)
    (health,) = http.snapshot()
    assert (health.state, health.failures_in_a_row) == (BreakerState.CLOSED, 0)
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    await http.aclose()
