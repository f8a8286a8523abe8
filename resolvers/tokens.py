"""Access tokens, which are JWTs signed with Ed25519, and refresh tokens."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import jwt

from domain.staff import Actor, Role, Unauthenticated
from integrations.keys import VaultError, decode, encode
from resolvers.context import Context
from resolvers.verified_tokens import VerifiedToken

ISSUER = "mobinet"
AUDIENCE = "mobinet-api"
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "role"]


def mint(context: Context, actor: Actor, now: datetime) -> tuple[str, datetime]:
    """Return a token for *actor*, and when it expires."""
    expires_at = (now + context.terms.token_lifetime).replace(microsecond=0)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": actor.id,
        "name": actor.name,
        "role": actor.role.value,
        "permissions": list(actor.permissions),
        "team": actor.team,
        "sid": actor.session,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    key = context.keys.tokens.signing
    token = jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.id})
    return token, expires_at


def read(context: Context, token: str, now: datetime) -> tuple[Actor, datetime]:
    """
    Return the actor that *token* proves, and when it expires. Raises Unauthenticated.

    A token is verified once; later it only needs its key and its time. The caller checks that its
    session has not ended.
    """
    token_hash = digest(token)
    verified = context.verified_tokens.find(token_hash)
    if verified is None:
        verified = _verify(context, token)
        context.verified_tokens.add(token_hash, verified)
    if verified.expires_at <= now or context.keys.tokens.find(verified.key_id) is None:
        context.verified_tokens.drop(token_hash)
        raise Unauthenticated
    return verified.actor, verified.expires_at


def _verify(context: Context, token: str) -> VerifiedToken:
    """Return what *token* proves, expired or not. Raises Unauthenticated."""
    try:
        key = context.keys.tokens.find(jwt.get_unverified_header(token)["kid"])
        if key is None:
            raise Unauthenticated
        claims = jwt.decode(
            token,
            key.public,
            algorithms=["EdDSA"],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
        )
        actor = Actor(
            id=claims["sub"],
            name=claims["name"],
            role=Role(claims["role"]),
            permissions=tuple(claims["permissions"]),
            team=claims["team"],
            session=claims["sid"],
        )
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
        raise Unauthenticated from error
    return VerifiedToken(actor=actor, expires_at=expires_at, key_id=key.id)


def refresh_token(context: Context, session_id: str) -> str:
    """Return a new refresh token, sealed so that a guessed one differs from a reused one."""
    sealed = context.keys.vault.seal(context.ids.secret(), owner=session_id)
    return f"{session_id}.{encode(sealed)}"


def session_of(context: Context, token: str) -> str | None:
    """Return the id of the session of a refresh token, None where the token is not ours."""
    session_id, _, sealed = token.partition(".")
    try:
        context.keys.vault.open(decode(sealed), owner=session_id)
    except (VaultError, ValueError):
        return None
    return session_id


def digest(secret: str) -> bytes:
    """Return the SHA-256 of a random secret, which is all that the database holds of it."""
    return hashlib.sha256(secret.encode()).digest()
