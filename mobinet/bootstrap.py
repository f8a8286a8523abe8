"""Putting a process together: from settings to the context that every operation is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import certifi

from db import clock, engine, processes
from integrations.bank.gateway import BankTransfer
from integrations.fpt_pay.gateway import FPTPay
from integrations.gateways import Gateways
from integrations.heads import Heads
from integrations.http.client import Timeouts, Tls, Upstream
from integrations.keys import Vault, derived
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
from mobinet.key_files import ring
from mobinet.settings import Settings
from mobinet.settings.paypal import PayPal as PayPalSettings
from mobinet.settings.sections import Hifpt, InternalSystem
from mobinet.settings.sections import Sms as SmsSettings
from resolvers.context import Context, Keys, Terms
from resolvers.hub import Hub
from resolvers.ids import Ids
from resolvers.payment_start import ASKING_SECONDS


@asynccontextmanager
async def running(settings: Settings, *, pool_size: int = 8) -> AsyncGenerator[Context]:
    """
    Connect to everything, and yield the context of a process; disconnect when it is left.

    The settings name a database and a Redis by now, the embedded ones where none were given.
    """
    assert settings.database_url is not None
    assert settings.redis_url is not None
    async with AsyncExitStack() as stack:
        await engine.connect(settings.database_url.get_secret_value(), pool_size=pool_size)
        stack.push_async_callback(engine.disconnect)
        process = await stack.enter_async_context(processes.presence())
        channel = RedisBroadcast(settings.redis_url.get_secret_value())
        hub = Hub(await stack.enter_async_context(_connected(channel)))
        stack.push_async_callback(hub.close)

        def opened(upstream: Upstream) -> Upstream:
            stack.push_async_callback(upstream.aclose)
            return upstream

        customers = CustomerManagement(opened(_internal("customer", settings.customer)))
        stack.push_async_callback(customers.aclose)
        yield Context(
            clock=clock.now,
            ids=Ids(),
            process=process,
            terms=Terms(
                public_url=settings.public_url,
                qr_lifetime=settings.qr_lifetime,
                token_lifetime=settings.token_lifetime,
                cash_in_hand_limit=settings.cash_in_hand_limit,
                usd_rate=settings.paypal.usd_rate,
                four_eyes_above=settings.four_eyes_above,
                shared=settings.shared,
            ),
            keys=keys_of(settings),
            hub=hub,
            heads=Heads(settings.data_dir / "heads.log"),
            revenue=Revenue(opened(_internal("revenue", settings.revenue))),
            customers=customers,
            staff_management=StaffManagement(opened(_internal("staff", settings.staff))),
            debts=DebtManagement(opened(_internal("debt", settings.debt))),
            hifpt=HiFPT(opened(_messenger("hifpt", settings.hifpt))),
            sms=Sms(opened(_messenger("sms", settings.sms)), sender_id=settings.sms.sender_id),
            gateways=Gateways(
                [
                    VNPay(
                        opened(_gateway("vnpay", settings.vnpay.url)),
                        tmn_code=settings.vnpay.tmn_code,
                        hash_secrets=[
                            item.get_secret_value() for item in settings.vnpay.hash_secret
                        ],
                        page=settings.vnpay.page,
                    ),
                    FPTPay(
                        opened(_gateway("fpt_pay", settings.fpt_pay.url)),
                        secrets=[item.get_secret_value() for item in settings.fpt_pay.secret],
                    ),
                    BankTransfer(
                        bin=settings.bank.bin,
                        account=settings.bank.account,
                        account_name=settings.bank.account_name,
                        casso_secrets=[
                            item.get_secret_value() for item in settings.bank.casso_secret
                        ],
                        sepay_secrets=[
                            item.get_secret_value() for item in settings.bank.sepay_secret
                        ],
                    ),
                    MoMo(
                        opened(_gateway("momo", settings.momo.url, read=30.0)),
                        partner_code=settings.momo.partner_code,
                        access_key=settings.momo.access_key.get_secret_value(),
                        secret_keys=[item.get_secret_value() for item in settings.momo.secret_key],
                    ),
                    _paypal(settings.paypal, opened),
                    Stripe(
                        opened(_gateway("stripe", settings.stripe.url)),
                        api_key=settings.stripe.api_key.get_secret_value(),
                        webhook_secrets=[
                            item.get_secret_value() for item in settings.stripe.webhook_secret
                        ],
                    ),
                ],
                settings.routes,
            ),
        )


@asynccontextmanager
async def _connected(channel: RedisBroadcast) -> AsyncGenerator[RedisBroadcast]:
    await channel.connect()
    try:
        yield channel
    finally:
        await channel.disconnect()


def keys_of(settings: Settings) -> Keys:
    # The made key signs receipts where none is given, and verifies what it signed once one is.
    made = derived(settings.keys.encryption.get_secret_value(), "receipts")
    return Keys(
        tokens=ring(settings, "SIGNING", settings.keys.signing),
        receipts=ring(settings, "RECEIPTS", settings.keys.receipts, made),
        vault=Vault(settings.keys.encryption.get_secret_value()),
    )


def _gateway(name: str, url: str, *, read: float = 10.0) -> Upstream:
    """It gives up before the mutation does, since it alone knows whether anything was sent."""
    return Upstream(name, url, timeouts=Timeouts(read=read, total=ASKING_SECONDS - 1))


def _paypal(settings: PayPalSettings, opened: Callable[[Upstream], Upstream]) -> PayPal:
    http = opened(_gateway("paypal", settings.url))
    access = Access(
        http,
        client_id=settings.client_id.get_secret_value(),
        client_secret=settings.client_secret.get_secret_value(),
    )
    authorities = settings.ca or Path(certifi.where())
    return PayPal(
        http,
        bearer=access,
        refused=access.forget,
        webhook_id=settings.webhook_id,
        certificates=Certificates(
            opened(
                Upstream(
                    "paypal_certificates",
                    f"https://{settings.cert_host}",
                    timeouts=Timeouts(total=8),
                )
            ),
            host=settings.cert_host,
            authorities=authorities.read_bytes(),
        ),
    )


def _internal(name: str, system: InternalSystem) -> Upstream:
    return Upstream(
        name,
        system.url,
        headers={"X-Api-Key": system.api_key.get_secret_value()} if system.api_key else None,
        tls=Tls(
            cert=str(system.client_cert) if system.client_cert else None,
            key=str(system.client_key) if system.client_key else None,
            ca=str(system.ca) if system.ca else None,
        ),
    )


def _messenger(name: str, system: Hifpt | SmsSettings) -> Upstream:
    return Upstream(name, system.url, headers={"X-Api-Key": system.api_key.get_secret_value()})
