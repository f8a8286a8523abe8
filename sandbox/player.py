"""The customer: pays or declines what the phone shows, now or in a while, once or too often."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from pydantic import Field

from sandbox import clock
from sandbox.charges import Charge, Charges
from sandbox.store import Store
from sandbox.web import Body, Json, Refused
from sandbox.webhooks import Dialect, Webhooks

Outcome = Literal["paid", "declined", "expired", "suspicious", "reversed"]


class Transfer(Body):
    """What becomes of a transfer at the bank, and who tells of it."""

    by: Literal["casso", "sepay"] = "casso"
    content: str | None = None  # instead of what the app read: banks and people rewrite it
    account: str | None = None  # of the merchant's, but another one
    outgoing: bool = False


class Act(Body):
    """`POST /_sandbox/pay`, and what a person's click on a payment page comes to."""

    reference: str | None = None
    qr: str | None = None
    payment_url: str | None = None
    outcome: Outcome = "paid"
    amount: int | None = Field(default=None, gt=0)
    reason: str | None = None  # why it is declined, in the gateway's own code
    delay: float = Field(default=0, ge=0)  # before the customer acts
    webhook_delay: float = Field(default=0, ge=0)  # between the act and its webhook
    repeat: int = Field(default=1, ge=1, le=100)
    bad_signature: bool = False
    drop_webhook: bool = False
    wait: bool = True
    transfer: Transfer | None = None


class Gateway(Dialect, Protocol):
    @property
    def outcomes(self) -> tuple[str, ...]: ...

    def opened(self, url: str) -> Charge | None:
        """The charge behind what a customer opens or scans; opening it may be what creates it."""
        ...

    def news(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        """What the webhook says of this outcome. Telling it again says the same."""
        ...


class Player:
    def __init__(self, store: Store, charges: Charges, webhooks: Webhooks) -> None:
        self._store = store
        self._charges = charges
        self._webhooks = webhooks
        self.gateways: dict[str, Gateway] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def meet(self, gateway: Gateway) -> None:
        self.gateways[gateway.name] = gateway
        self._webhooks.speak(gateway)

    async def start(self) -> None:
        for row in self._store.all("select * from plans"):
            self._plan(row["id"], row["due_at"], Act.model_validate_json(row["act"]))

    async def stop(self) -> None:
        self.forget()

    def forget(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def play(self, act: Act) -> Json:
        charge = self.find(act)
        outcomes = self.gateways[charge.gateway].outcomes
        if act.outcome not in outcomes:
            raise Refused(422, "INVALID_INPUT", f"{charge.gateway} knows {', '.join(outcomes)}")
        if act.delay == 0:
            return await self.do(charge, act)
        due_at = clock.now() + act.delay
        kept = act.model_copy(update={"delay": 0}).model_dump_json()
        cursor = self._store.run("insert into plans (due_at, act) values (?, ?)", due_at, kept)
        assert cursor.lastrowid is not None
        self._plan(cursor.lastrowid, due_at, act)
        return {
            "reference": charge.reference,
            "status": charge.now,
            "webhooks": [],
            "due_at": clock.iso(due_at),
        }

    def find(self, act: Act) -> Charge:
        if act.reference:
            found = self._charges.known_as("reference", act.reference)
        elif act.qr:
            found = self._charges.known_as("qr", act.qr)
            for gateway in self.gateways.values():
                found = found or gateway.opened(act.qr)
        elif act.payment_url:
            found = self._charges.known_as("payment_url", act.payment_url)
            for gateway in self.gateways.values():
                found = found or gateway.opened(act.payment_url)
        else:
            raise Refused(422, "INVALID_INPUT", "one of reference, qr and payment_url is needed")
        if found is None:
            raise Refused(404, "UNKNOWN_CHARGE", "no gateway here was asked for such a charge")
        return found

    async def do(self, charge: Charge, act: Act) -> Json:
        """What was taken stays taken: a later outcome is only told, as old news arriving late."""
        gateway = self.gateways[charge.gateway]
        due_at = clock.now() + act.webhook_delay
        with self._store.transaction():
            if not charge.final:
                taken = act.outcome in ("paid", "suspicious", "reversed")
                received = (act.amount or charge.amount) if taken else None
                # At PayPal the customer only approves: the merchant then takes the money.
                approves = act.outcome == "paid" and charge.gateway == "paypal"
                status = "approved" if approves else act.outcome
                told = {"transfer": act.transfer.model_dump()} if act.transfer else {}
                charge = self._charges.become(charge, status, received, act.reason, **told)
            webhook = self._webhooks.write(
                charge.gateway,
                charge.reference,
                gateway.news(charge, act.outcome, act.reason),
                forged=act.bad_signature,
                burst=0 if act.drop_webhook else act.repeat,
                due_at=None if act.drop_webhook else due_at,
            )
        answers: list[Json] = []
        if act.wait and not act.webhook_delay and not act.drop_webhook:
            answers = await self._webhooks.deliver(webhook)
        elif not act.drop_webhook:
            self._webhooks.later(webhook, due_at)
        return {"reference": charge.reference, "status": charge.status, "webhooks": answers}

    def _plan(self, id: int, due_at: float, act: Act) -> None:
        async def wait() -> None:
            await asyncio.sleep(max(0.0, due_at - clock.now()))
            self._store.run("delete from plans where id = ?", id)
            await self.do(self.find(act), act)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
