"""Whose calls are PayPal's: its printed signatures, and which certificates are believed."""

import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from domain.gateways import BadCall, Call
from integrations.http.client import Upstream
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
from tests.support.gateways.paypal import certificates as believed

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "card_vectors.json").read_text()
)["paypal"]
OURS = PayPalDialect()


@pytest.fixture
def paypal(http: Upstream) -> PayPal:
    return OURS.gateway(http)


def paid() -> bytes:
    return event("PAYMENT.CAPTURE.COMPLETED", capture())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_printed_checksum_and_signature_holds(vector: dict[str, Any]) -> None:
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


def test_a_real_signature_whose_authority_is_not_ours_is_not_believed(http: Upstream) -> None:
    vector = next(item for item in VECTORS if "certificate_pem" in item)
    url = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-2"
    known = believed(http)
    known.KEPT(
        x509.load_pem_x509_certificate(vector["certificate_pem"].encode()),
    )
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
    ("call", "why"),
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
def test_a_call_that_is_not_theirs_or_not_for_us_is_refused(
    paypal: PayPal, call: Call, why: str
) -> None:
    with pytest.raises(BadCall, match=why):
        paypal.read_webhook(call)


def test_a_call_that_had_to_be_repeated_for_days_is_believed(paypal: PayPal) -> None:
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
async def test_a_certificate_is_fetched_from_nobody_else(
    http: Upstream, counterpart: Counterpart, url: str
) -> None:
    call = paypal_call(paid(), **{"paypal-cert-url": url})
    known = believed(http)
    await known.fetch(call)
    assert counterpart.seen == []
    with pytest.raises(BadCall, match="signature"):
        known.check(call, WEBHOOK_ID)


@pytest.mark.parametrize(
    ("name", "authority"),
    [("www.paypal.com", "theirs"), ("messageverificationcerts.paypal.com", "somebody's")],
    ids=["made out for something else", "by another authority"],
)
async def test_a_certificate_that_is_not_the_signers_is_not_believed(
    http: Upstream, counterpart: Counterpart, name: str, authority: str
) -> None:
    key, pem = signed_by(name, authority)
    known, call = await fetched(http, counterpart, pem, key)
    with pytest.raises(BadCall, match="trust"):
        known.check(call, WEBHOOK_ID)


async def test_a_certificate_that_has_lapsed_is_not_believed(
    http: Upstream, counterpart: Counterpart
) -> None:
    key, pem = signed_by()
    known, call = await fetched(http, counterpart, pem, key)
    known.check(call, WEBHOOK_ID)
    with pytest.raises(BadCall, match="trust"):
        known.check(replace(call, received_at=NOW + timedelta(days=60)), WEBHOOK_ID)


async def test_a_certificate_is_fetched_once_and_what_is_none_says_nothing(
    http: Upstream, counterpart: Counterpart
) -> None:
    key, pem = signed_by()
    known, call = await fetched(http, counterpart, pem, key)
    await known.fetch(call)
    assert len(counterpart.seen) == 1
    counterpart.always(says(b"no certificate"))
    other = replace(
        call, headers=dict(call.headers) | {"paypal-cert-url": f"{counterpart.url}/other"}
    )
    with pytest.raises(Unreachable):
        await known.fetch(other)


async def test_names_of_certificates_that_are_not_there_keep_nobody_from_fetching_the_true_one(
    http: Upstream, counterpart: Counterpart
) -> None:
    """Whoever forges calls chooses what we ask for: it is no failure of PayPal's, and no breaker opens."""
    key, pem = signed_by()
    known = believed(http, counterpart.url.removeprefix("http://"))
    counterpart.always(says({"name": "RESOURCE_NOT_FOUND"}, 404))
    for number in range(12):
        url = f"{counterpart.url}/v1/notifications/certs/CERT-{number}"
        forged = paypal_call(paid(), **{"paypal-cert-url": url})
        await known.fetch(forged)
        with pytest.raises(BadCall, match="none"):
            known.check(forged, WEBHOOK_ID)
    counterpart.will(says(pem))
    url = f"{counterpart.url}/v1/notifications/certs/CERT-TRUE"
    true = paypal_call(paid(), key=key, **{"paypal-cert-url": url})
    await known.fetch(true)
    known.check(true, WEBHOOK_ID)


async def test_what_is_used_is_kept_whatever_else_is_named(
    http: Upstream, counterpart: Counterpart
) -> None:
    key, pem = signed_by()
    known, true = await fetched(http, counterpart, pem, key)
    counterpart.always(says(pem))
    for number in range(60):
        url = f"{counterpart.url}/v1/notifications/certs/CERT-A{number}"
        await known.fetch(paypal_call(paid(), **{"paypal-cert-url": url}))
        known.check(true, WEBHOOK_ID)
    asked = len(counterpart.seen)
    await known.fetch(true)
    assert len(counterpart.seen) == asked


@pytest.mark.parametrize("status", [302, 429, 500])
async def test_a_host_that_does_not_say_whether_there_is_one_is_asked_again(
    http: Upstream, counterpart: Counterpart, status: int
) -> None:
    counterpart.always(says(b"", status))
    known = believed(http, counterpart.url.removeprefix("http://"))
    url = f"{counterpart.url}/v1/notifications/certs/CERT-1"
    with pytest.raises(Unreachable):
        await known.fetch(paypal_call(paid(), **{"paypal-cert-url": url}))


async def fetched(
    http: Upstream, counterpart: Counterpart, pem: bytes, key: Any
) -> tuple[Certificates, Call]:
    """Return what a call of a local PayPal is checked with, its certificate fetched from there."""
    counterpart.will(says(pem))
    host = counterpart.url.removeprefix("http://")
    url = f"{counterpart.url}/v1/notifications/certs/CERT-9"
    call = paypal_call(paid(), key=key, **{"paypal-cert-url": url})
    known = believed(http, host)
    await known.fetch(call)
    return known, call
