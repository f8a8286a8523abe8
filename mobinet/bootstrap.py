"""Process assembly: from settings to the context that every operation receives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import certifi
from pydantic import SecretStr

from db import engine, processes
from db.clock import Clock
from integrations.bank.gateway import BankTransfer
from integrations.fpt_pay.gateway import FPTPay
from integrations.gateways import Gateways
from integrations.heads import Heads
from integrations.http.client import Timeouts, Tls, Upstream
from integrations.http.httpx_transport import HttpxTransport
from integrations.keys import Vault, derive_key
from integrations.messaging.hifpt import HiFPT
from integrations.messaging.sms import Sms
from integrations.momo.gateway import MoMo
from integrations.paypal.access import Access
from integrations.paypal.certificates import Certificates
from integrations.paypal.gateway import PayPal
from integrations.pubsub import RedisBroadcast
from integrations.stripe.gateway import Stripe
from integrations.systems.customer import CustomerManagement
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from integrations.vnpay.gateway import VNPay
from mobinet.key_files import key_ring
from mobinet.settings import Settings, sections
from resolvers.context import Context, Keys, Terms
from resolvers.hub import Hub
from resolvers.ids import Ids
from resolvers.payment_start import GATEWAY_TIMEOUT_SECONDS


@asynccontextmanager
async def process_context(settings: Settings, *, pool_size: int = 8) -> AsyncGenerator[Context]:
    """
    Connect to everything and yield the process's context; disconnect in reverse order.

    The settings must name a database and a Redis.
    """
    async with AsyncExitStack() as stack:
        await _connect_database(stack, settings, pool_size)
        process = await stack.enter_async_context(processes.hold_process_number())
        hub = await _connect_hub(stack, settings)
        yield Context(
            clock=Clock(),
            ids=Ids(),
            process=process,
            terms=_terms(settings),
            keys=keys_of(settings),
            hub=hub,
            heads=Heads(settings.data_dir / "heads.log"),
            customers=CustomerManagement(_internal(stack, "customer", settings.customer)),
            revenue=Revenue(_internal(stack, "revenue", settings.revenue)),
            staff_management=StaffManagement(_internal(stack, "staff", settings.staff)),
            debts=DebtManagement(_internal(stack, "debt", settings.debt)),
            hifpt=HiFPT(_messenger(stack, "hifpt", settings.hifpt)),
            sms=Sms(_messenger(stack, "sms", settings.sms), sender_id=settings.sms.sender_id),
            gateways=_gateways(stack, settings),
        )


def keys_of(settings: Settings) -> Keys:
    # The derived key signs receipts without a configured key, and later verifies what it signed.
    derived_key = derive_key(settings.keys.encryption.get_secret_value(), "receipts")
    return Keys(
        tokens=key_ring(settings, "SIGNING", settings.keys.signing),
        receipts=key_ring(settings, "RECEIPTS", settings.keys.receipts, derived_key),
        vault=Vault(settings.keys.encryption.get_secret_value()),
    )


def _terms(settings: Settings) -> Terms:
    return Terms(
        public_url=settings.public_url,
        qr_lifetime=settings.qr_lifetime,
        token_lifetime=settings.token_lifetime,
        cash_in_hand_limit=settings.cash_in_hand_limit,
        usd_rate=settings.paypal.usd_rate,
        four_eyes_above=settings.four_eyes_above,
        shared=settings.shared,
    )


# ── the database and the hub ─────────────────────────────────────────────────────────────────────


async def _connect_database(stack: AsyncExitStack, settings: Settings, pool_size: int) -> None:
    assert settings.database_url is not None
    await engine.connect(settings.database_url.get_secret_value(), pool_size=pool_size)
    stack.push_async_callback(engine.disconnect)


async def _connect_hub(stack: AsyncExitStack, settings: Settings) -> Hub:
    assert settings.redis_url is not None
    channel = RedisBroadcast(settings.redis_url.get_secret_value())
    await channel.connect()
    stack.push_async_callback(channel.disconnect)
    hub = Hub(channel)
    stack.push_async_callback(hub.close)
    return hub


# ── internal systems and message channels ────────────────────────────────────────────────────────


def _opened(stack: AsyncExitStack, upstream: Upstream) -> Upstream:
    """Return the upstream; the stack closes it."""
    stack.push_async_callback(upstream.aclose)
    return upstream


def _internal(stack: AsyncExitStack, name: str, system: sections.InternalSystem) -> Upstream:
    upstream = Upstream(
        name,
        system.url,
        headers={"X-Api-Key": system.api_key.get_secret_value()} if system.api_key else None,
        tls=Tls(
            cert=str(system.client_cert) if system.client_cert else None,
            key=str(system.client_key) if system.client_key else None,
            ca=str(system.ca) if system.ca else None,
        ),
    )
    return _opened(stack, upstream)


def _messenger(
    stack: AsyncExitStack, name: str, channel: sections.Hifpt | sections.Sms
) -> Upstream:
    headers = {"X-Api-Key": channel.api_key.get_secret_value()}
    return _opened(stack, Upstream(name, channel.url, headers=headers))


# ── gateways ─────────────────────────────────────────────────────────────────────────────────────


def _gateways(stack: AsyncExitStack, settings: Settings) -> Gateways:
    return Gateways(
        [
            _vnpay(stack, settings.vnpay),
            FPTPay(
                _gateway(stack, "fpt_pay", settings.fpt_pay.url),
                secrets=_plain(settings.fpt_pay.secret),
            ),
            BankTransfer(
                bin=settings.bank.bin,
                account=settings.bank.account,
                account_name=settings.bank.account_name,
                casso_secrets=_plain(settings.bank.casso_secret),
                sepay_secrets=_plain(settings.bank.sepay_secret),
            ),
            MoMo(
                _gateway(stack, "momo", settings.momo.url, read=30.0),
                partner_code=settings.momo.partner_code,
                access_key=settings.momo.access_key.get_secret_value(),
                secret_keys=_plain(settings.momo.secret_key),
            ),
            _paypal(stack, settings.paypal),
            Stripe(
                _gateway(stack, "stripe", settings.stripe.url),
                api_key=settings.stripe.api_key.get_secret_value(),
                webhook_secrets=_plain(settings.stripe.webhook_secret),
            ),
        ],
        settings.routes,
    )


def _gateway(stack: AsyncExitStack, name: str, url: str, *, read: float = 10.0) -> Upstream:
    """
    Return a gateway's upstream, whose calls take at most *read* seconds.

    It times out a second before the mutation, which does not know whether anything was sent.
    """
    return _opened(
        stack, Upstream(name, url, timeouts=Timeouts(read=read, total=GATEWAY_TIMEOUT_SECONDS - 1))
    )


def _plain(secrets: Iterable[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def _vnpay(stack: AsyncExitStack, settings: sections.Vnpay) -> VNPay:
    return VNPay(
        _gateway(stack, "vnpay", settings.url),
        tmn_code=settings.tmn_code,
        hash_secrets=_plain(settings.hash_secret),
        page=settings.page,
    )


def _paypal(stack: AsyncExitStack, settings: sections.PayPal) -> PayPal:
    http = _gateway(stack, "paypal", settings.url)
    access = Access(
        http,
        client_id=settings.client_id.get_secret_value(),
        client_secret=settings.client_secret.get_secret_value(),
    )
    certificate_url = f"https://{settings.cert_host}"
    authorities = settings.ca or Path(certifi.where())
    return PayPal(
        http,
        bearer=access,
        on_token_refused=access.forget,
        webhook_id=settings.webhook_id,
        certificates=Certificates(
            _opened(
                stack,
                Upstream(
                    "paypal_certificates",
                    certificate_url,
                    timeouts=Timeouts(total=8),
                    transport=HttpxTransport,  # PayPal names addresses of several hosts
                ),
            ),
            host=settings.cert_host,
            authorities=authorities.read_bytes(),
        ),
    )
