"""TLS: who gets a request, and what a handshake costs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.http.failures import NotConnected, Unanswered
from integrations.http.messages import Answer
from integrations.http.tls import Tls
from tests.support.raw.server import OK, RawServer, answers, raw_server
from tests.support.raw.upstream import SHORT, OpenUpstream, both_loops, call

pytest_plugins = ["tests.support.raw.upstream"]
pytestmark = both_loops


@asynccontextmanager
async def secure_server(
    authority: trustme.CA, *, name: str = "localhost", client: bool = False, **options: Any
) -> AsyncIterator[RawServer]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(tls)
    if client:
        authority.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
    for option, value in options.items():
        setattr(tls, option, value)
    async with raw_server(answers(OK), tls) as server:
        yield server


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path) -> Tls:
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    return Tls(ca=str(tmp_path / "ca"))


async def test_one_handshake_carries_many_requests(
    authority: trustme.CA, trust: Tls, open_upstream: OpenUpstream
) -> None:
    async with secure_server(authority) as server:
        http = open_upstream(server.url, tls=trust)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize(
    "options",
    [{"name": "elsewhere.example"}, {"maximum_version": ssl.TLSVersion.TLSv1_1}],
    ids=["another name", "TLS 1.1"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_counterpart_that_does_not_prove_itself_gets_no_request(
    options: dict[str, Any], authority: trustme.CA, trust: Tls, open_upstream: OpenUpstream
) -> None:
    async with secure_server(authority, **options) as server:
        with pytest.raises(NotConnected):
            await call(open_upstream(server.url, tls=trust))
        assert server.requests == []


async def test_a_certificate_of_an_unknown_authority_gets_no_request(
    authority: trustme.CA, open_upstream: OpenUpstream
) -> None:
    async with secure_server(authority) as server:
        with pytest.raises(NotConnected):
            await call(open_upstream(server.url))
        assert server.requests == []


async def test_a_client_certificate_is_presented_and_its_lack_is_a_failure(
    authority: trustme.CA, trust: Tls, open_upstream: OpenUpstream, tmp_path: Path
) -> None:
    ours = authority.issue_cert("mobinet@client")
    ours.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert"))
    own = Tls(ca=trust.ca, cert=str(tmp_path / "cert"))
    async with secure_server(authority, client=True) as server:
        assert (await call(open_upstream(server.url, tls=own))).ok
        with pytest.raises((NotConnected, Unanswered)):
            await call(open_upstream(server.url, tls=trust, timeouts=SHORT))
        assert len(server.requests) == 1
