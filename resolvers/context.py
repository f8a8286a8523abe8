"""The context of an operation: its actor, the clock, ids, keys, the hub and the outer systems."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from db import payments
from db.clock import Clock
from db.together import Together
from domain.methods import GatewayName
from domain.money import Rate
from domain.payments import Payment
from domain.references import is_ours
from domain.refusals import Language
from domain.staff import Actor
from integrations.gateways import Gateways
from integrations.heads import Heads
from integrations.keys import KeyRing, Vault
from integrations.messaging.hifpt import HiFPT
from integrations.messaging.sms import Sms
from integrations.systems.customer import CustomerManagement
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from resolvers.display_cache import DisplayCache
from resolvers.hub import Hub
from resolvers.ids import Ids
from resolvers.login_throttle import LoginThrottle
from resolvers.open_sessions import OpenSessions
from resolvers.verified_tokens import VerifiedTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The operator's settings, in VND. Other programs use our account at `shared` gateways too."""

    public_url: str
    qr_lifetime: timedelta
    token_lifetime: timedelta
    session_lifetime: timedelta = timedelta(days=30)
    cash_in_hand_limit: int | None = None
    usd_rate: Rate | None = None
    four_eyes_above: int = 5_000_000
    shared: frozenset[GatewayName] = frozenset()

    def is_foreign(self, gateway: GatewayName, reference: str) -> bool:
        """Return whether a reference that no attempt has belongs to another program."""
        return gateway in self.shared and not is_ours(reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Receipts have keys of their own, so that the tokens' key cannot sign a receipt."""

    tokens: KeyRing
    receipts: KeyRing
    vault: Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    The first part belongs to one request, the rest to the process.

    `clock` reads the database's time: an operation reads it once and passes it on. `process` is
    this process's number, by which others check whether it is alive.
    """

    actor: Actor | None = None
    language: Language = "vi"
    request_id: str = ""
    client_ip: str = "127.0.0.1"
    expires_at: datetime | None = None
    memo: dict[str, object] = field(default_factory=dict[str, object])

    clock: Clock
    ids: Ids
    process: int
    terms: Terms
    keys: Keys
    hub: Hub
    heads: Heads
    revenue: Revenue
    customers: CustomerManagement
    staff_management: StaffManagement
    debts: DebtManagement
    hifpt: HiFPT
    sms: Sms
    gateways: Gateways
    login_throttle: LoginThrottle = field(default_factory=LoginThrottle)
    verified_tokens: VerifiedTokens = field(default_factory=VerifiedTokens)
    open_sessions: OpenSessions = field(default_factory=OpenSessions)
    payments_by_id: Together[str, Payment] = field(default_factory=lambda: Together(payments.found))
    display_cache: DisplayCache = field(default_factory=DisplayCache)

    def for_actor(
        self,
        actor: Actor | None,
        *,
        language: Language = "vi",
        request_id: str = "",
        client_ip: str = "127.0.0.1",
        expires_at: datetime | None = None,
    ) -> Context:
        """Return a context for one request, with an empty memo."""
        return replace(
            self,
            actor=actor,
            language=language,
            request_id=request_id,
            client_ip=client_ip,
            expires_at=expires_at,
            memo={},
        )

    @property
    def actor_id(self) -> str:
        """The actor that audit rows name: the request's, or the system itself."""
        return self.actor.id if self.actor else "system"

    def confirmation_link(self, receipt_token: str) -> str:
        return f"{self.terms.public_url}/pay/{receipt_token}"
