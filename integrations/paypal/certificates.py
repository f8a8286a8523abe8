"""
Whether a call is PayPal's: checked here, by the certificate that it names, without asking PayPal.

The certificate comes from their host alone, its chain ends at an authority that we trust, and it was
made out for what signs their messages. Then the signature is over the call's id and time, the id of
our own webhook, which no call can choose, and the checksum of the raw body.
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
from integrations.http.client import Answer, NotSent, Unanswered, Unreadable, Upstream
from integrations.http.webhooks import header

NAMES = ("messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com")
ALGORITHM = "SHA256withRSA"
# They call for three days until they are heard, and may give each call the first one's time.
OLDEST, NEWEST = timedelta(days=3, hours=1), timedelta(minutes=5)
_LARGEST = 64 * 1024
_MOST = 20
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost):\d{1,5}", re.ASCII)

_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,100}){1,8}", re.ASCII)
# Statuses that do not say that there is no such certificate.
_LATER = frozenset({408, 425, 429})

Chain = tuple[x509.Certificate, ...]


class Unreachable(Exception):
    """The certificate can't be fetched now: the call is neither believed nor refused."""


class Certificates:
    """`host` is whence certificates come, it or what lies below it; with a port it is a local sandbox."""

    def __init__(self, http: Upstream, *, host: str, authorities: bytes) -> None:
        self._http = http
        self._host = host
        self._store = verification.Store(x509.load_pem_x509_certificates(authorities))
        self._kept: OrderedDict[str, Chain] = OrderedDict()

    async def fetch(self, call: Call) -> None:
        """Have at hand the certificate that a call names, if it may name it. Raises Unreachable."""
        url = self._theirs(header(call, "PAYPAL-CERT-URL"))
        if url is None or url in self._kept:
            return
        try:
            chain = await self._http.call(
                "certificate", "GET", url, read=_read_chain, repeatable=True, subject=url
            )
        except (NotSent, Unanswered) as error:
            raise Unreachable(str(error)) from error
        if not chain:  # there is none: the call names what PayPal never signed by
            return
        self._kept[url] = chain
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def check(self, call: Call, webhook_id: str) -> None:
        """Raise BadCall if the call is not theirs, not for us, or of another time."""
        given = {
            name: header(call, f"PAYPAL-{name}")
            for name in (
                "TRANSMISSION-ID",
                "TRANSMISSION-TIME",
                "TRANSMISSION-SIG",
                "CERT-URL",
                "AUTH-ALGO",
            )
        }
        if missing := [name for name, value in given.items() if not value]:
            raise BadCall(f"the signature is missing: {missing[0]}")
        if given["AUTH-ALGO"] != ALGORITHM:
            raise BadCall("the signature is of another kind")
        url = self._theirs(given["CERT-URL"])
        if url is None:
            raise BadCall("the signature's certificate is not from their host")
        chain = self._kept.get(url)
        if chain is None:
            raise BadCall("the signature's certificate is none")
        self._check_chain(chain, call.received_at)
        message = signed_message(
            given["TRANSMISSION-ID"], given["TRANSMISSION-TIME"], webhook_id, call.body
        )
        check_signature(chain[0], message, given["TRANSMISSION-SIG"])
        _check_time(given["TRANSMISSION-TIME"], call.received_at)
        self._kept.move_to_end(url)  # what is named by others alone goes first

    def _theirs(self, url: str) -> str | None:
        """Return the one way to write where a certificate is, if it is at their host; None for any other."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if not _PATH.fullmatch(parts.path) or not url.endswith(parts.path):
            return None  # a query would be another name for the same certificate
        if _LOCAL.fullmatch(self._host):
            local = parts.scheme == "http" and parts.netloc == self._host
            return f"http://{self._host}{parts.path}" if local else None
        name = parts.hostname or ""
        known = name == self._host or name.endswith(f".{self._host}")
        plain = port in {None, 443} and "@" not in parts.netloc and url.isascii()
        return (
            f"https://{name}{parts.path}" if parts.scheme == "https" and known and plain else None
        )

    def _check_chain(self, chain: Chain, moment: datetime) -> None:
        builder = verification.PolicyBuilder().store(self._store).time(moment)
        for name in NAMES:
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
    if not -NEWEST <= age <= OLDEST:
        raise BadCall("the signature is too old or from the future")


def _read_chain(answer: Answer) -> Chain:
    """Return the certificates; none where PayPal says that there are none, which no breaker counts."""
    if 400 <= answer.status < 500 and answer.status not in _LATER:
        return ()
    if answer.status != 200 or len(answer.body) > _LARGEST:
        raise Unreadable(f"status {answer.status}")
    try:
        return tuple(x509.load_pem_x509_certificates(answer.body))
    except ValueError:
        raise Unreadable("no certificates") from None
