"""The customer, who pays or declines a charge at once or later."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from pydantic import Field

from sandbox import clock
from sandbox.charges import Charge, Charges
from sandbox.store import Store
from sandbox.web import Body, Json, Refused
from sandbox.webhooks import Webhooks, WebhookSource

Outcome = Literal["paid", "declined", "expired", "suspicious", "reversed"]


class Transfer(Body):
    """What happens to a transfer at the bank, and which service reports it."""

    by: Literal["casso", "sepay"] = "casso"
    content: str | None = None  # replaces the purpose in the QR, as banks and people do
    account: str | None = None  # another account of the merchant
    outgoing: bool = False


class PayerAction(Body):
    """What the customer does, from `POST /_sandbox/pay` or a click on a payment page."""

    reference: str | None = None
    qr: str | None = None
    payment_url: str | None = None
    outcome: Outcome = "paid"
    amount: int | None = Field(default=None, gt=0)
    reason: str | None = None  # the decline's reason, as the gateway's own code
    delay: float = Field(default=0, ge=0)  # seconds before the customer acts
    webhook_delay: float = Field(default=0, ge=0)  # seconds between the action and its webhook
    repeat: int = Field(default=1, ge=1, le=100)
    bad_signature: bool = False
    drop_webhook: bool = False
    wait: bool = True
    transfer: Transfer | None = None


class Gateway(WebhookSource, Protocol):
    @property
    def outcomes(self) -> tuple[str, ...]: ...

    def open_charge(self, url: str) -> Charge | None:
        """Return the charge behind a scanned or opened text, or None; a bank opens it here."""
        ...

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        """Return the webhook's content for this outcome; a repeat has the same content."""
        ...


class Payer:
    def __init__(self, store: Store, charges: Charges, webhooks: Webhooks) -> None:
        self._store = store
        self._charges = charges
        self._webhooks = webhooks
        self.gateways: dict[str, Gateway] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, gateway: Gateway) -> None:
        self.gateways[gateway.name] = gateway
        self._webhooks.register(gateway)

    async def start(self) -> None:
        for row in self._store.fetch_rows("select * from plans"):
            self._schedule(row["id"], row["due_at"], PayerAction.model_validate_json(row["act"]))

    async def stop(self) -> None:
        self.cancel_all()

    def cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def accept(self, action: PayerAction) -> Json:
        charge = self.find(action)
        outcomes = self.gateways[charge.gateway].outcomes
        if action.outcome not in outcomes:
            raise Refused(422, "INVALID_INPUT", f"{charge.gateway} knows {', '.join(outcomes)}")
        if action.delay == 0:
            return await self.perform(charge, action)
        due_at = clock.now() + action.delay
        stored = action.model_copy(update={"delay": 0}).model_dump_json()
        cursor = self._store.execute(
            "insert into plans (due_at, act) values (?, ?)", due_at, stored
        )
        assert cursor.lastrowid is not None
        self._schedule(cursor.lastrowid, due_at, action)
        return {
            "reference": charge.reference,
            "status": charge.current_status,
            "webhooks": [],
            "due_at": clock.iso(due_at),
        }

    def find(self, action: PayerAction) -> Charge:
        if action.reference:
            found = self._charges.find_by("reference", action.reference)
        elif action.qr:
            found = self._charges.find_by("qr", action.qr)
            for gateway in self.gateways.values():
                found = found or gateway.open_charge(action.qr)
        elif action.payment_url:
            found = self._charges.find_by("payment_url", action.payment_url)
            for gateway in self.gateways.values():
                found = found or gateway.open_charge(action.payment_url)
        else:
            raise Refused(422, "INVALID_INPUT", "reference, qr or payment_url is required")
        if found is None:
            raise Refused(404, "UNKNOWN_CHARGE", "no gateway has this charge")
        return found

    async def perform(self, charge: Charge, action: PayerAction) -> Json:
        """
        Change the charge and send its webhook.

        A paid charge stays paid: a later outcome only sends its webhook, as if it had been delayed.
        """
        gateway = self.gateways[charge.gateway]
        due_at = clock.now() + action.webhook_delay
        with self._store.transaction():
            if not charge.is_final:
                taken = action.outcome in ("paid", "suspicious", "reversed")
                received = (action.amount or charge.amount) if taken else None
                # At PayPal the customer only approves; the merchant then captures.
                approves = action.outcome == "paid" and charge.gateway == "paypal"
                status = "approved" if approves else action.outcome
                details = {"transfer": action.transfer.model_dump()} if action.transfer else {}
                charge = self._charges.set_status(
                    charge, status, received, action.reason, **details
                )
            webhook = self._webhooks.add(
                charge.gateway,
                charge.reference,
                gateway.webhook_fields(charge, action.outcome, action.reason),
                forged=action.bad_signature,
                burst=0 if action.drop_webhook else action.repeat,
                due_at=None if action.drop_webhook else due_at,
            )
        answers: list[Json] = []
        if action.wait and not action.webhook_delay and not action.drop_webhook:
            answers = await self._webhooks.deliver(webhook)
        elif not action.drop_webhook:
            self._webhooks.schedule(webhook, due_at)
        return {"reference": charge.reference, "status": charge.status, "webhooks": answers}

    def _schedule(self, id: int, due_at: float, action: PayerAction) -> None:
        async def wait() -> None:
            await asyncio.sleep(max(0.0, due_at - clock.now()))
            self._store.execute("delete from plans where id = ?", id)
            await self.perform(self.find(action), action)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
