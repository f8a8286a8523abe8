"""TLS towards counterparts: version 1.2 or newer, and our client certificate if there is one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache

import certifi


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Paths: our client certificate, its key, and the authority of the server certificate."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that checks the counterpart's certificate and host name."""
    if tls.ca is None and tls.cert is None:
        return _public_context()
    context = _context(tls.ca or certifi.where())
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


@cache
def _public_context() -> ssl.SSLContext:
    """Return the public authorities. They are read once: that takes longer than a call."""
    return _context(certifi.where())


def _context(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
