"""The verification of PayPal's calls: printed signatures, and which certificates are trusted."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from domain.gateways import BadCall, Call
from integrations.http.client import Timeouts, Upstream
from integrations.http.httpx_transport import HttpxTransport
from integrations.paypal import certificates
from integrations.paypal.certificates import Certificates, Unreachable
from integrations.paypal.gateway import PayPal
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, evidence_of_call
from tests.support.gateways.paypal import (
    WEBHOOK_ID,
    PayPalDialect,
    capture,
    event,
    paypal_call,
    signed_by,
)
from tests.support.gateways.paypal import certificates as certificates_of

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "card_vectors.json").read_text()
)["paypal"]
OURS = PayPalDialect()


@pytest.fixture
def http(address: Counterpart) -> Upstream:
    """Return a client for absolute addresses, as the program uses for certificates."""
    timeouts = Timeouts(connect=0.5, read=0.3, total=2.0)
    return Upstream("counterpart", address.url, timeouts=timeouts, transport=HttpxTransport)


@pytest.fixture
def paypal(http: Upstream) -> PayPal:
    return OURS.gateway(http)


def paid() -> bytes:
    return event("PAYMENT.CAPTURE.COMPLETED", capture())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_printed_checksum_and_signature_verifies(vector: dict[str, Any]) -> None:
    body = vector.get("payload", vector["canonical"]).encode()
    if "|" not in vector["canonical"]:
        assert str(zlib.crc32(body)) == vector["expected"]
        return
    id, time, webhook_id, _ = vector["canonical"].split("|")
    message = certificates.signed_message(id, time, webhook_id, body)
    assert message == vector["canonical"].encode()
    if "certificate_pem" in vector:
        certificate = x509.load_pem_x509_certificate(vector["certificate_pem"].encode())
        certificates.check_signature(certificate, message, vector["expected"])
        changed = certificates.signed_message(id, time, "another", body)
        with pytest.raises(BadCall, match="verify"):
            certificates.check_signature(certificate, changed, vector["expected"])


def test_a_genuine_signature_of_an_untrusted_authority_is_refused(http: Upstream) -> None:
    vector = next(vector for vector in VECTORS if "certificate_pem" in vector)
    url = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-2"
    known = certificates_of(http)
    certificate = x509.load_pem_x509_certificate(vector["certificate_pem"].encode())
    known.add(url, (certificate,))
    call = Call(
        method="POST",
        query="",
        headers={
            "PAYPAL-TRANSMISSION-ID": vector["transmission_id"],
            "PAYPAL-TRANSMISSION-TIME": vector["transmission_time"],
            "PAYPAL-TRANSMISSION-SIG": vector["expected"],
            "PAYPAL-CERT-URL": url,
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
        },
        body=vector["payload"].encode(),
        received_at=datetime(2017, 3, 30, 20, 4, 6, tzinfo=UTC),
    )
    with pytest.raises(BadCall, match="trust"):
        known.check(call, vector["webhook_id"])


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (paypal_call(paid(), webhook_id="another"), "verify"),
        (paypal_call(paid(), key=signed_by("elsewhere.paypal.com")[0]), "verify"),
        (paypal_call(paid(), **{"paypal-auth-algo": "SHA1withRSA"}), "kind"),
        (paypal_call(paid(), **{"paypal-transmission-sig": "%%%"}), "verify"),
        (paypal_call(paid(), **{"paypal-transmission-id": ""}), "missing"),
        (paypal_call(paid(), at=NOW + timedelta(minutes=6)), "future"),
        (paypal_call(paid(), at=NOW - timedelta(days=4)), "too old"),
    ],
    ids=["webhook", "key", "algorithm", "no base64", "missing", "future", "old"],
)
def test_a_call_that_is_not_paypals_or_not_for_us_is_refused(
    paypal: PayPal, call: Call, reason: str
) -> None:
    with pytest.raises(BadCall, match=reason):
        paypal.read_webhook(call)


def test_a_call_that_was_repeated_for_three_days_is_trusted(paypal: PayPal) -> None:
    assert evidence_of_call(paypal, paypal_call(paid(), at=NOW - timedelta(days=3)))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/cert",
        "https://api.paypal.com.evil.vn/cert",
        "https://evilpaypal.com/cert",
        "https://evil.vn/api.paypal.com",
        "https://api.paypal.com@evil.vn/cert",
        "https://me@api.paypal.com/cert",
        "https://api.paypal.com:8443/cert",
        "https://api.paypal.com:x/cert",
        "file:///etc/passwd",
        "https://api.paypal.com/cert?n=1",
        "https://api.paypal.com/cert?",
        "https://api.paypal.com/cert#n",
        "https://api.paypal.com/./cert",
        "https://api.paypal.com/ce%72t",
        "",
    ],
)
async def test_a_certificate_is_fetched_from_paypals_host_only(
    http: Upstream, counterpart: Counterpart, url: str
) -> None:
    call = paypal_call(paid(), **{"paypal-cert-url": url})
    known = certificates_of(http)
    await known.fetch(call)
    assert counterpart.seen == []
    with pytest.raises(BadCall, match="signature"):
        known.check(call, WEBHOOK_ID)


@pytest.mark.parametrize(
    ("name", "authority"),
    [("www.paypal.com", "trusted"), ("messageverificationcerts.paypal.com", "another")],
    ids=["for another name", "by another authority"],
)
async def test_a_certificate_that_is_not_the_signers_is_refused(
    http: Upstream, counterpart: Counterpart, name: str, authority: str
) -> None:
    key, pem = signed_by(name, authority)
    known, call = await certificates_with(http, counterpart, pem, key)
    with pytest.raises(BadCall, match="trust"):
        known.check(call, WEBHOOK_ID)


async def test_an_expired_certificate_is_refused(http: Upstream, counterpart: Counterpart) -> None:
    key, pem = signed_by()
    known, call = await certificates_with(http, counterpart, pem, key)
    known.check(call, WEBHOOK_ID)
    with pytest.raises(BadCall, match="trust"):
        known.check(replace(call, received_at=NOW + timedelta(days=60)), WEBHOOK_ID)


async def test_a_certificate_is_fetched_once_and_a_malformed_one_is_unreachable(
    http: Upstream, counterpart: Counterpart
) -> None:
    key, pem = signed_by()
    known, call = await certificates_with(http, counterpart, pem, key)
    await known.fetch(call)
    assert len(counterpart.seen) == 1
    counterpart.always(says(b"no certificate"))
    other = replace(
        call, headers=dict(call.headers) | {"paypal-cert-url": f"{counterpart.url}/other"}
    )
    with pytest.raises(Unreachable):
        await known.fetch(other)


async def test_missing_certificates_do_not_prevent_the_fetch_of_the_genuine_one(
    http: Upstream, counterpart: Counterpart
) -> None:
    """A forged call chooses the address, so its 404 opens no breaker."""
    key, pem = signed_by()
    known = certificates_of(http, counterpart.url.removeprefix("http://"))
    counterpart.always(says({"name": "RESOURCE_NOT_FOUND"}, 404))
    for number in range(12):
        url = f"{counterpart.url}/v1/notifications/certs/CERT-{number}"
        forged = paypal_call(paid(), **{"paypal-cert-url": url})
        await known.fetch(forged)
        with pytest.raises(BadCall, match="no certificate"):
            known.check(forged, WEBHOOK_ID)
    counterpart.will(says(pem))
    url = f"{counterpart.url}/v1/notifications/certs/CERT-TRUE"
    genuine = paypal_call(paid(), key=key, **{"paypal-cert-url": url})
    await known.fetch(genuine)
    known.check(genuine, WEBHOOK_ID)


async def test_a_used_certificate_stays_cached_whatever_else_is_named(
    http: Upstream, counterpart: Counterpart
) -> None:
    key, pem = signed_by()
    known, genuine = await certificates_with(http, counterpart, pem, key)
    counterpart.always(says(pem))
    for number in range(60):
        url = f"{counterpart.url}/v1/notifications/certs/CERT-A{number}"
        await known.fetch(paypal_call(paid(), **{"paypal-cert-url": url}))
        known.check(genuine, WEBHOOK_ID)
    requests = len(counterpart.seen)
    await known.fetch(genuine)
    assert len(counterpart.seen) == requests


@pytest.mark.parametrize("status", [302, 429, 500])
async def test_a_temporary_failure_of_the_host_is_unreachable(
    http: Upstream, counterpart: Counterpart, status: int
) -> None:
    counterpart.always(says(b"", status))
    known = certificates_of(http, counterpart.url.removeprefix("http://"))
    url = f"{counterpart.url}/v1/notifications/certs/CERT-1"
    with pytest.raises(Unreachable):
        await known.fetch(paypal_call(paid(), **{"paypal-cert-url": url}))


async def certificates_with(
    http: Upstream, counterpart: Counterpart, pem: bytes, key: Any
) -> tuple[Certificates, Call]:
    """Return certificates of a local PayPal, with a fetched one, and a call that names it."""
    counterpart.will(says(pem))
    host = counterpart.url.removeprefix("http://")
    url = f"{counterpart.url}/v1/notifications/certs/CERT-9"
    call = paypal_call(paid(), key=key, **{"paypal-cert-url": url})
    known = certificates_of(http, host)
    await known.fetch(call)
    return known, call
