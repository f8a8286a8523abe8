"""Ed25519 signing keys, and a vault that encrypts secrets."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ALGORITHM = "Ed25519"


class SigningKey:
    """One Ed25519 key. Its id is the thumbprint of its public key (RFC 7638)."""

    def __init__(self, pem: str) -> None:
        """Raise ValueError if *pem* holds no Ed25519 private key. The error never quotes *pem*."""
        private = load_pem_private_key(pem.encode(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("the key is not an Ed25519 private key")
        self.private = private
        self.public = private.public_key()
        raw = self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        required = {"crv": "Ed25519", "kty": "OKP", "x": encode(raw)}
        text = json.dumps(required, sort_keys=True, separators=(",", ":"))
        self.id = encode(hashlib.sha256(text.encode()).digest())
        self.jwk = {**required, "kid": self.id, "use": "sig", "alg": "EdDSA"}

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class KeyRing:
    """
    The keys of one use: the first signs, all verify, so that keys can be rotated.

    *reread* is called before each use and returns the new keys, or None while nothing has changed.
    So a running process uses a new key, and verifies with a key that another process signs with.
    """

    def __init__(
        self, pems: Sequence[str], *, reread: Callable[[], Sequence[str] | None] | None = None
    ) -> None:
        """Raise ValueError if one of *pems* holds no Ed25519 private key."""
        self._keys = _by_id(pems)
        self._reread = reread

    @property
    def signing(self) -> SigningKey:
        return next(iter(self._current().values()))

    def find(self, key_id: str) -> SigningKey | None:
        return self._current().get(key_id)

    @property
    def jwks(self) -> list[dict[str, str]]:
        return [key.jwk for key in self._current().values()]

    def _current(self) -> dict[str, SigningKey]:
        if self._reread is not None and (pems := self._reread()) is not None:
            self._keys = _by_id(pems)
        return self._keys


def _by_id(pems: Sequence[str]) -> dict[str, SigningKey]:
    assert pems, "a key ring needs at least one key"
    return {key.id: key for key in map(SigningKey, pems)}


class VaultError(Exception):
    """A sealed secret cannot be opened: the key, the owner or a byte differs."""


class Vault:
    """AES-256-GCM. A secret sealed for one owner, such as a session's id, opens for no other."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the encryption key has 32 bytes")
        self._cipher = AESGCM(key)

    def seal(self, secret: str, *, owner: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise VaultError from None


def derive_key(secret: bytes, use: str) -> str:
    """Return the Ed25519 key, as PEM, derived from *secret* for one use (HKDF, RFC 5869)."""
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"mobinet {use}".encode())
    private = Ed25519PrivateKey.from_private_bytes(seed.derive(secret))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def encode(raw: bytes) -> str:
    """Return base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Decode what `encode` returned. Raises ValueError for anything else."""
    raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not base64url")
    return raw
