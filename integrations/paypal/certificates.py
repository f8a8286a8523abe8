"""
Verification of PayPal's calls by the certificate that each call names, without asking PayPal.

A certificate comes from PayPal's host only, its chain ends at a trusted authority, and it names
PayPal's message signer. The signature covers the call's id and time, the id of our own webhook,
which no caller can choose, and the checksum of the raw body.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections import OrderedDict
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import verification

from domain.gateways import BadCall, Call
from integrations.http.client import Upstream
from integrations.http.failures import NotConnected, Unanswered, Unreadable
from integrations.http.messages import Answer, Request
from integrations.http.webhooks import header

SIGNER_NAMES = (
    "messageverificationcerts.paypal.com",
    "messageverificationcerts.sandbox.paypal.com",
)
ALGORITHM = "SHA256withRSA"
# PayPal repeats a call for three days, and each repeat may carry the first one's time.
MAX_AGE, MAX_CLOCK_LEAD = timedelta(days=3, hours=1), timedelta(minutes=5)
_MAX_CHAIN_BYTES = 64 * 1024
_MAX_CACHED_CHAINS = 20
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost):\d{1,5}", re.ASCII)

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,100}){1,8}", re.ASCII)
# Statuses that do not mean that there is no such certificate.
_TEMPORARY = frozenset({408, 425, 429})
_SIGNATURE_HEADERS = (
    "TRANSMISSION-ID",
    "TRANSMISSION-TIME",
    "TRANSMISSION-SIG",
    "CERT-URL",
    "AUTH-ALGO",
)

Chain = tuple[x509.Certificate, ...]


class Unreachable(Exception):
    """The certificate cannot be fetched now, so the call can be neither verified nor refused."""


class Certificates:
    """Certificates come from `host` or its subdomains. A host with a port is a local sandbox."""

    def __init__(self, http: Upstream, *, host: str, authorities: bytes) -> None:
        self._http = http
        self._host = host
        self._store = verification.Store(x509.load_pem_x509_certificates(authorities))
        self._chains: OrderedDict[str, Chain] = OrderedDict()

    async def fetch(self, call: Call) -> None:
        """Fetch the certificate that a call names, if it is PayPal's. Raises Unreachable."""
        url = self._trusted_url(header(call, "PAYPAL-CERT-URL"))
        if url is None or url in self._chains:
            return
        request = Request(
            operation="certificate", method="GET", path=url, subject=url, repeatable=True
        )
        try:
            chain = await self._http.call(request, _read_chain)
        except (NotConnected, Unanswered) as error:
            raise Unreachable(str(error)) from error
        if not chain:  # PayPal has no such certificate
            return
        self.add(url, chain)

    def add(self, url: str, chain: Chain) -> None:
        self._chains[url] = chain
        while len(self._chains) > _MAX_CACHED_CHAINS:
            self._chains.popitem(last=False)

    def check(self, call: Call, webhook_id: str) -> None:
        """Raise BadCall if the call is not PayPal's, not for our webhook, or too old."""
        values = {name: header(call, f"PAYPAL-{name}") for name in _SIGNATURE_HEADERS}
        if missing := [name for name, value in values.items() if not value]:
            raise BadCall(f"the signature is missing: {missing[0]}")
        if values["AUTH-ALGO"] != ALGORITHM:
            raise BadCall("the signature is of another kind")
        url = self._trusted_url(values["CERT-URL"])
        if url is None:
            raise BadCall("the signature's certificate is not from their host")
        chain = self._chains.get(url)
        if chain is None:
            raise BadCall("there is no certificate at the signature's address")
        self._check_chain(chain, call.received_at)
        message = signed_message(
            values["TRANSMISSION-ID"], values["TRANSMISSION-TIME"], webhook_id, call.body
        )
        check_signature(chain[0], message, values["TRANSMISSION-SIG"])
        _check_time(values["TRANSMISSION-TIME"], call.received_at)
        self._chains.move_to_end(url)  # chains that forged calls name are evicted first

    def _trusted_url(self, url: str) -> str | None:
        """Return a certificate's address in its one spelling; None if it is not PayPal's."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if not _PATH.fullmatch(parts.path) or not url.endswith(parts.path):
            return None  # with a query, one certificate would have many addresses
        if _LOCAL.fullmatch(self._host):
            local = parts.scheme == "http" and parts.netloc == self._host
            return f"http://{self._host}{parts.path}" if local else None
        name = parts.hostname or ""
        known = name == self._host or name.endswith(f".{self._host}")
        plain = port in {None, 443} and "@" not in parts.netloc and url.isascii()
        secure = parts.scheme == "https"
        return f"https://{name}{parts.path}" if secure and known and plain else None

    def _check_chain(self, chain: Chain, moment: datetime) -> None:
        builder = verification.PolicyBuilder().store(self._store).time(moment)
        for name in SIGNER_NAMES:
            verifier = builder.build_server_verifier(x509.DNSName(name))
            try:
                verifier.verify(chain[0], list(chain[1:]))
            except verification.VerificationError:
                continue
            return
        raise BadCall("the signature's certificate is not one that we trust")


def signed_message(id: str, time: str, webhook_id: str, body: bytes) -> bytes:
    return f"{id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()


def check_signature(certificate: x509.Certificate, message: bytes, signature: str) -> None:
    """Raise BadCall if the certificate's key did not sign *message*."""
    key = certificate.public_key()
    try:
        if not isinstance(key, rsa.RSAPublicKey):
            raise BadCall("the signature's certificate holds another kind of key")
        proof = base64.b64decode(signature, validate=True)
        key.verify(proof, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        raise BadCall("the signature does not verify") from None


def _check_time(text: str, received_at: datetime) -> None:
    try:
        sent = datetime.fromisoformat(text)
        age = received_at - sent
    except (ValueError, TypeError):
        raise BadCall("the signature's time can't be read") from None
    if not -MAX_CLOCK_LEAD <= age <= MAX_AGE:
        raise BadCall("the signature is too old or from the future")


def _read_chain(answer: Answer) -> Chain:
    """
    Return the certificates; empty where PayPal says that there are none.

    A forged call chooses the address, so a definite 4xx must not count as a failure of PayPal.
    """
    if 400 <= answer.status < 500 and answer.status not in _TEMPORARY:
        return ()
    if answer.status != 200 or len(answer.body) > _MAX_CHAIN_BYTES:
        raise Unreadable(f"status {answer.status}")
    try:
        return tuple(x509.load_pem_x509_certificates(answer.body))
    except ValueError:
        raise Unreadable("no certificates") from None
