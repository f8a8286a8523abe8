"""Access tokens: JWTs signed with Ed25519, and what a refresh token becomes in the database."""

from __future__ import annotations

import hashlib
from datetime import datetime

import jwt

from domain.staff import Actor, Role, Unauthenticated
from integrations.keys import VaultError, decode, encode
from resolvers.context import Context

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
    Return who *token* proves, and until when. Raises Unauthenticated.

    Whether its session was ended since is the database's to say.
    """
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
        expires_at = datetime.fromtimestamp(claims["exp"], now.tzinfo)
        actor = Actor(
            id=claims["sub"],
            name=claims["name"],
            role=Role(claims["role"]),
            permissions=tuple(claims["permissions"]),
            team=claims["team"],
            session=claims["sid"],
        )
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as refused:
        raise Unauthenticated from refused
    if expires_at <= now:
        raise Unauthenticated
    return actor, expires_at


def refresh_token(context: Context, session_id: str) -> str:
    """Return a new refresh token of a session: sealed by us, so that a guess is told from a reuse."""
    sealed = context.keys.vault.seal(context.ids.secret(), owner=session_id)
    return f"{session_id}.{encode(sealed)}"


def session_of(context: Context, token: str) -> str | None:
    """Return the session that a refresh token of ours belongs to; None for one that is not ours."""
    session_id, _, sealed = token.partition(".")
    try:
        context.keys.vault.open(decode(sealed), owner=session_id)
    except (VaultError, ValueError):
        return None
    return session_id


def digest(secret: str) -> bytes:
    """Return what is kept of a secret of full entropy: SHA-256, from which it can't be found."""
    return hashlib.sha256(secret.encode()).digest()
