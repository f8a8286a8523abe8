"""PayPal's certificates in the sandbox: a fixed authority, and a signer that it certifies."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

NAME = "messageverificationcerts.sandbox.paypal.com"
# Not secret: every sandbox has the same authority, and production refuses it.
_SEED = hashlib.sha256(b"the authority of a sandbox").digest()


def authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Name]:
    key = ec.derive_private_key(int.from_bytes(_SEED) >> 1, ec.SECP256R1())
    return key, _named("Mobinet sandbox: PayPal's authority")


def authority_certificate() -> bytes:
    """
    Return the authority's certificate as PEM.

    Its bytes differ each time; its key and its name do not.
    """
    key, name = authority()
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


class Signer:
    """The key and certificate that sign webhooks, made at first use because that is slow."""

    def __init__(self) -> None:
        self._key: rsa.RSAPrivateKey | None = None
        self._certificate: x509.Certificate | None = None

    @property
    def id(self) -> str:
        return f"CERT-{self._key_and_certificate()[1].serial_number:x}"

    @property
    def pem(self) -> bytes:
        return self._key_and_certificate()[1].public_bytes(serialization.Encoding.PEM)

    def sign(self, *, id: str, time: str, webhook_id: str, body: bytes, forged: bool) -> str:
        key = rsa.generate_private_key(65537, 2048) if forged else self._key_and_certificate()[0]
        message = f"{id}|{time}|{webhook_id}|{zlib.crc32(body)}".encode()
        proof = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(proof).decode()

    def _key_and_certificate(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        if self._key is None or self._certificate is None:
            self._key = rsa.generate_private_key(65537, 2048)
            self._certificate = certificate(self._key)
        return self._key, self._certificate


def certificate(key: rsa.RSAPrivateKey, name: str = NAME) -> x509.Certificate:
    issuer, issuer_name = authority()
    now = datetime.now(UTC)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    vouching = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(server, critical=False)
        .add_extension(vouching, critical=False)
        .sign(issuer, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
