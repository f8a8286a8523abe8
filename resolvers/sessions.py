"""Logging in, staying in, and out: members of staff by password, programs by their secret."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, sessions, staff
from db.audit import AuditEvent
from db.sessions import Session
from db.transaction import transaction
from domain.identifiers import staff_number
from domain.refusals import NotFound
from domain.staff import Actor, InvalidCredentials, Role, Staff, Unauthenticated
from resolvers import tokens
from resolvers.audit import audited
from resolvers.context import Context
from resolvers.limits import learn


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a client keeps: a token for a quarter of an hour, and one to get the next with."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime
    staff: Staff


async def login(context: Context, *, staff_id: str, password: str) -> Login:
    """
    Ask Staff Management, and open a session.

    Raises InvalidCredentials, UpstreamUnavailable, and TooManyTries for whoever guesses.
    """
    return await _login_as(context, staff_id=staff_number(staff_id), password=password)


@audited("login", requester="staff_id")
async def _login_as(context: Context, *, staff_id: str, password: str) -> Login:
    now = await context.clock()
    async with context.login_throttle.guess(context.client_ip, staff_id, now):
        known = await context.staff_management.authenticate(staff_id, password)
    session_id = context.ids.record("SES")
    refresh_token = tokens.refresh_token(context, session_id)
    session = Session(
        id=session_id,
        staff=known.staff,
        expires_at=now + context.terms.session_lifetime,
        refresh_hash=tokens.digest(refresh_token),
    )
    async with transaction():
        await staff.learn(known.staff, now)
        await learn(context, known.staff.staff_id, known.limits, now)
        await sessions.add(
            session,
            wallet_token=(
                context.keys.vault.seal(known.fpt_pay_token, owner=session.id)
                if known.fpt_pay_token
                else None
            ),
            now=now,
        )
        await audit.append(
            AuditEvent(
                at=now,
                actor=known.staff.staff_id,
                action="login",
                request_id=context.request_id,
            )
        )
    return _login(context, session, refresh_token, now)


@audited("refreshSession")
async def refresh(context: Context, *, refresh_token: str) -> Login:
    """
    Replace both tokens; the role and limits are read afresh from Staff Management.

    A token of ours that was replaced before ends its session: two parties hold it. Raises
    InvalidCredentials, UpstreamUnavailable.
    """
    now = await context.clock()
    session_id = tokens.session_of(context, refresh_token)
    if session_id is None:
        async with context.login_throttle.guess(context.client_ip, "refresh token", now):
            raise InvalidCredentials
    session = await sessions.by_id(session_id, now)
    if session is None:
        raise InvalidCredentials
    old_hash = tokens.digest(refresh_token)
    if session.refresh_hash != old_hash:
        await _end(context, session, "reused", now)
        raise InvalidCredentials
    try:
        known, known_limits = await context.staff_management.staff(session.staff.staff_id)
    except NotFound:
        await _end(context, session, "gone", now)
        raise InvalidCredentials from None
    new_token = tokens.refresh_token(context, session.id)
    new_hash = tokens.digest(new_token)
    async with transaction():
        if not await sessions.rotate(session.id, old_hash=old_hash, new_hash=new_hash):
            raise InvalidCredentials
        await staff.learn(known, now)
        await learn(context, known.staff_id, known_limits, now)
        await audit.append(
            AuditEvent(
                at=now,
                actor=known.staff_id,
                action="refreshSession",
                request_id=context.request_id,
            )
        )
    return _login(context, replace(session, staff=known), new_token, now)


async def _end(context: Context, session: Session, why: str, now: datetime) -> None:
    async with transaction():
        await sessions.end(session.id, now)
        await audit.append(
            AuditEvent(
                at=now,
                actor=session.staff.staff_id,
                action="endSession",
                request_id=context.request_id,
                details={"why": why},
            )
        )


@audited("logout")
async def logout(context: Context) -> None:
    """End the session: its tokens are refused from now on. Raises Unauthenticated."""
    if context.actor is None:
        raise Unauthenticated
    now = await context.clock()
    async with transaction():
        if context.actor.session is not None:
            await sessions.end(context.actor.session, now)
        await audit.append(
            AuditEvent(
                at=now, actor=context.actor.id, action="logout", request_id=context.request_id
            )
        )


async def me(context: Context) -> Staff:
    """Return the asker as Staff Management last described them. Raises Unauthenticated."""
    if context.actor is None:
        raise Unauthenticated
    known = await staff.by_id(context.actor.id)
    actor = context.actor
    return known or Staff(
        staff_id=actor.id, name=actor.name, role=actor.role, permissions=actor.permissions
    )


async def identify(context: Context, token: str) -> tuple[Actor, datetime]:
    """Return who *token* proves and until when. Raises Unauthenticated, after a logout too."""
    now = await context.clock()
    actor, expires_at = tokens.read(context, token, now)
    if actor.session is not None and not await sessions.is_open(actor.session, now):
        raise Unauthenticated
    return actor, expires_at


async def is_open(context: Context) -> bool:
    """Tell whether the asker's login has not been ended since their token was checked."""
    session = context.actor.session if context.actor else None
    return session is None or await sessions.is_open(session, await context.clock())


@audited("token", requester="client_id")
async def client_credentials(context: Context, *, client_id: str, secret: str) -> Login:
    """Return a token for a program. Raises InvalidCredentials, alike for an unknown one."""
    now = await context.clock()
    async with context.login_throttle.guess(context.client_ip, client_id, now):
        client = await sessions.api_client(client_id)
        kept = client.secret_hash if client else bytes(32)
        if not hmac.compare_digest(kept, tokens.digest(secret)) or client is None:
            raise InvalidCredentials
    actor = Actor(id=client.client_id, name=client.name, role=client.role)
    access_token, expires_at = tokens.mint(context, actor, now)
    return Login(
        access_token=access_token,
        refresh_token=None,
        expires_at=expires_at,
        staff=Staff(staff_id=client.client_id, name=client.name, role=client.role),
    )


async def learn_api_client(
    context: Context, *, client_id: str, name: str, role: Role, secret: str
) -> None:
    """Make a program known, if it is not: what development starts with."""
    client = sessions.ApiClient(
        client_id=client_id, name=name, role=role, secret_hash=tokens.digest(secret)
    )
    await sessions.learn_api_client(client, await context.clock())


async def disown_api_client(context: Context, *, client_id: str, secret: str) -> None:
    """Refuse a program whose secret everybody knows, should this database know it."""
    await sessions.disown_api_client(client_id, tokens.digest(secret))


def _login(context: Context, session: Session, refresh_token: str, now: datetime) -> Login:
    actor = Actor(
        id=session.staff.staff_id,
        name=session.staff.name,
        role=session.staff.role,
        permissions=session.staff.permissions,
        team=session.staff.team,
        session=session.id,
    )
    access_token, expires_at = tokens.mint(context, actor, now)
    return Login(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=expires_at,
        staff=session.staff,
    )
