"""What all systems share: the store, contracts, staff, faults, webhooks and the payer."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.charges import Charges
from sandbox.conflicts import Conflicts
from sandbox.contracts import Contracts
from sandbox.faults import Faults
from sandbox.log import Log
from sandbox.overrides import Overrides
from sandbox.payer import Payer
from sandbox.people import People
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.webhooks import Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    settings: Settings
    store: Store
    overrides: Overrides
    contracts: Contracts
    people: People
    conflicts: Conflicts
    charges: Charges
    webhooks: Webhooks
    payer: Payer
    faults: Faults
    log: Log


def create(settings: Settings) -> World:
    store = Store(settings.database)
    overrides = Overrides(store)
    charges = Charges(store)
    webhooks = Webhooks(store)
    return World(
        settings=settings,
        store=store,
        overrides=overrides,
        contracts=Contracts(settings.sandbox.contracts, overrides),
        people=People(settings.fpt_pay.secret.get_secret_value(), overrides),
        conflicts=Conflicts(store),
        charges=charges,
        webhooks=webhooks,
        payer=Payer(store, charges, webhooks),
        faults=Faults(store),
        log=Log(),
    )
