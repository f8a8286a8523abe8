"""The client under all adapters: what it calls not sent, what unanswered, and when it asks again."""

import asyncio
import logging
import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from structlog.testing import capture_logs

from integrations.http import client as module
from integrations.http.breaker import BreakerState
from integrations.http.client import (
    Answer,
    BreakerOpen,
    NotConnected,
    Unanswered,
    Unreadable,
    Upstream,
)
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Act, Counterpart, says

BREAKS = {
    "silence": they.silence,
    "reset": they.reset,
    "truncated": they.truncated,
    "drips": they.endless_answer,
    "500": they.server_error,
    "unreadable": they.not_json,
}


def whole(answer: Answer) -> Answer:
    if not answer.body.startswith(b"{"):
        raise Unreadable("body: json_invalid")
    return answer


async def ask(http: Upstream, *, repeatable: bool = False, operation: str = "op") -> Answer:
    return await http.call(operation, "GET", "/x", read=whole, repeatable=repeatable)


@pytest.mark.parametrize("act", BREAKS.values(), ids=BREAKS)
async def test_a_request_that_went_out_and_got_no_answer_is_unanswered(
    counterpart: Counterpart, act: Act
) -> None:
    http = Upstream("them", counterpart.url, read=0.2, total=0.4)
    counterpart.always(act)
    with pytest.raises(Unanswered):
        await ask(http)
    assert len(counterpart.seen) == 1
    await http.aclose()


async def test_a_counterpart_that_takes_the_connection_and_never_reads_is_unanswered(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.reads_nothing = True
    with pytest.raises(Unanswered):
        await ask(http)


async def test_where_nobody_listens_nothing_was_sent(
    counterpart: Counterpart, http: Upstream
) -> None:
    await counterpart.close()
    with pytest.raises(NotConnected):
        await ask(http)
    assert http.snapshot()[0].calls == 4  # which is repeated, for nobody heard it


async def test_a_call_that_waits_for_a_connection_until_its_time_is_over_was_not_sent() -> None:
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    http = Upstream("them", f"https://127.0.0.1:{port}", connect=0.2, total=0.2)
    with pytest.raises(NotConnected):  # the TLS handshake never ends
        await ask(http)
    await http.aclose()
    listener.close()


async def test_what_may_be_repeated_is_repeated_three_times(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.will(they.server_error, they.reset, they.not_json)
    counterpart.always(says({"well": True}))
    assert (await ask(http, repeatable=True)).ok
    assert len(counterpart.seen) == 4


async def test_after_three_repeats_it_gives_up(counterpart: Counterpart, http: Upstream) -> None:
    counterpart.always(they.server_error)
    with pytest.raises(Unanswered):
        await ask(http, repeatable=True)
    assert len(counterpart.seen) == 4


async def test_a_doubt_is_not_forgotten_when_the_repeat_finds_nobody(
    counterpart: Counterpart, http: Upstream
) -> None:
    async def last_words(seen: they.Seen, line: they.Connection) -> None:
        await counterpart.close()
        await they.reset(seen, line)

    counterpart.always(last_words)
    with pytest.raises(Unanswered):
        await ask(http, repeatable=True)


async def test_all_repeats_together_end_in_time(counterpart: Counterpart) -> None:
    http = Upstream("them", counterpart.url, read=60, total=0.3)
    counterpart.always(they.silence)
    async with asyncio.timeout(20):
        with pytest.raises(Unanswered):
            await ask(http, repeatable=True)
    await http.aclose()


async def test_a_4xx_is_an_answer_and_no_failure(counterpart: Counterpart, http: Upstream) -> None:
    counterpart.always(says({}, 422))
    for _ in range(10):
        assert (await ask(http, repeatable=True)).status == 422
    assert len(counterpart.seen) == 10
    assert http.snapshot()[0].state is BreakerState.CLOSED


async def test_after_five_failures_in_a_row_nobody_is_asked(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.always(they.server_error)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await ask(http)
    with pytest.raises(BreakerOpen) as stopped:
        await ask(http)
    assert 0 < stopped.value.retry_after_ms <= 15_000
    assert len(counterpart.seen) == 5
    assert not http.ready("op")


async def test_one_operation_that_is_stopped_does_not_stop_another(
    counterpart: Counterpart, http: Upstream
) -> None:
    counterpart.will(*[they.server_error] * 5)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await ask(http, operation="start")
    assert (await ask(http, operation="inquire")).ok
    assert not http.ready("start")
    assert http.ready("inquire")


async def test_one_probe_finds_out_whether_they_are_back(counterpart: Counterpart) -> None:
    http = Upstream("them", counterpart.url, read=1, total=2, open_for=0.05)
    counterpart.will(*[they.server_error] * 5)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await ask(http)
    await asyncio.sleep(0.06)
    calls = await asyncio.gather(*[ask(http) for _ in range(20)], return_exceptions=True)
    assert sum(isinstance(call, Answer) for call in calls) == 1
    assert sum(isinstance(call, BreakerOpen) for call in calls) == 19
    assert (await ask(http)).ok
    await http.aclose()


async def test_a_caller_who_gives_up_leaves_the_breaker_usable(counterpart: Counterpart) -> None:
    http = Upstream("them", counterpart.url, read=5, open_for=0.01)
    counterpart.will(*[they.server_error] * 5, they.silence)
    for _ in range(5):
        with pytest.raises(Unanswered):
            await ask(http)
    await asyncio.sleep(0.02)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask(http)
    assert (await ask(http)).ok
    await http.aclose()


async def test_the_request_id_travels_on(counterpart: Counterpart, http: Upstream) -> None:
    module.request_id.set("req-7")
    await ask(http)
    assert counterpart.seen[0].headers["x-request-id"] == "req-7"


async def test_no_secret_reaches_a_log_an_error_or_a_repr(
    counterpart: Counterpart, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    http = Upstream("them", counterpart.url, headers={"X-Api-Key": "s3cret"}, read=0.2)
    counterpart.will(they.reset, says({"phone": "0987654321"}, 500), says({"token": "s3cret"}))
    with capture_logs() as logs:
        said = repr(http)
        for _ in range(2):
            with pytest.raises(Unanswered) as failure:
                await http.call(
                    "op",
                    "POST",
                    "/x",
                    query="phone=0987654321",
                    body={"password": "s3cret"},
                    headers={"Authorization": "Bearer s3cret"},
                    read=whole,
                    repeatable=False,
                )
            said += repr(failure.value) + str(failure.value)
        said += repr(await ask(http))
    said += str(logs) + caplog.text + repr(http.snapshot())
    assert logs
    assert "s3cret" not in said
    assert "0987654321" not in said
    await http.aclose()


async def test_both_sides_show_their_certificates(tmp_path: Path) -> None:
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

    known = Upstream("them", counterpart.url, **files)
    assert (await ask(known)).ok
    unknown = Upstream("them", counterpart.url, ca=files["ca"])
    with pytest.raises((NotConnected, Unanswered)):
        await ask(unknown)
    distrustful = Upstream("them", counterpart.url, cert=files["cert"], key=files["key"])
    with pytest.raises(NotConnected):
        await ask(distrustful)
    for http in (known, unknown, distrustful):
        await http.aclose()
    await counterpart.close()


async def test_running_out_of_our_own_connections_says_nothing_about_the_counterpart(
    counterpart: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEEPALIVE", httpx.Limits(max_connections=1))
    http = Upstream("them", counterpart.url, connect=0.1, read=5.0, total=5.0)
    counterpart.always(they.silence)
    holding = asyncio.ensure_future(ask(http))
    while not counterpart.seen:
        await asyncio.sleep(0)
    for _ in range(6):
        with pytest.raises(NotConnected):
            await ask(http)
    (health,) = http.snapshot()
    assert (health.state, health.failures_in_a_row) == (BreakerState.CLOSED, 0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await http.aclose()
