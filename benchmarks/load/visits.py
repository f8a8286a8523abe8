"""One visit of a collector: read the contract, open a payment, and let the customer pay."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.client.http import LOST, Response, post
from benchmarks.client.loads import LATE, error_code
from benchmarks.client.pool import Pool
from benchmarks.load.figures import Figures, Intent
from benchmarks.supply import Supply

Json = dict[str, Any]

METHODS: Mapping[str, int] = {
    "CASH": 40,
    "VNPAY_QR": 20,
    "FPT_PAY": 15,
    "BANK_TRANSFER": 10,
    "MOMO": 10,
    "CARD": 5,
}
"""Payments of each method in a hundred."""

_MAX_ATTEMPTS = 5
_POLL_INTERVAL, _VERIFY_AFTER = 2.0, 20.0  # seconds
_FINAL = frozenset({"SUCCESS", "FAILED", "CANCELLED", "EXPIRED"})
_TEMPORARY = (
    "UPSTREAM_UNAVAILABLE",
    "GATEWAY_UNAVAILABLE",
    "OVERLOADED",
    "IDEMPOTENCY_IN_PROGRESS",
)


@dataclass(slots=True)
class World:
    """What all visits of a load share."""

    supply: Supply
    api: Pool
    sandbox: Pool
    figures: Figures
    rng: random.Random
    patience: float
    """Seconds that a client waits for an answer."""
    until_final: float
    """Seconds that a collector waits for a final status."""
    tokens: list[str] = field(default_factory=list[str])


class VisitEnded(Exception):
    """The visit ends here, and its error has been counted."""


async def visit(world: World, arrived: float) -> None:
    """Make one visit; `arrived` is a time of the performance counter."""
    token = world.rng.choice(world.tokens)
    method = world.rng.choices(list(METHODS), list(METHODS.values()))[0]
    contract = world.supply.contract()
    try:
        bill = await _bill(world, contract, token, arrived)
        await _collect(world, contract, method, bill, token)
    except VisitEnded:
        return


async def _bill(world: World, contract: str, token: str, arrived: float) -> Json:
    request = world.supply.request("CustomerBills", {"contractNumber": contract}, token)
    customer = await _send(world, "CustomerBills", request, since=arrived)
    owed: list[Json] = customer["bills"] or []
    bills = [bill for bill in owed if bill["status"] == "UNPAID"]
    if not bills:
        world.figures.fail("CustomerBills", "no bills in the answer")
        raise VisitEnded
    return bills[0]


async def _collect(world: World, contract: str, method: str, bill: Json, token: str) -> None:
    key, amount = uuid.uuid4().hex, bill["amount"]
    item = {"type": "BILL", "id": bill["billNumber"], "amount": amount}
    variables = {
        "idempotencyKey": key,
        "contractNumber": contract,
        "method": method,
        "items": [item],
    }
    request = world.supply.request("ProcessPayment", {"input": variables}, token)
    payment_id, is_paid = None, False
    try:
        payload = await _send(world, f"pay {method}", request, since=time.perf_counter())
        payment = payload["payment"]
        payment_id = payment["id"]
        if payment["status"] in _FINAL:
            return
        if payment["qr"] or payment["paymentUrl"]:
            is_paid = await _customer_pays(world, payment)
        if is_paid or method == "FPT_PAY":
            await _wait_until_final(world, payment_id, token, method)
    finally:
        world.figures.intents.append(
            Intent(
                key=key,
                method=method,
                amount=amount,
                payment_id=payment_id,
                paid_by_customer=is_paid,
            )
        )


async def _send(world: World, operation: str, request: bytes, *, since: float) -> Json:
    """
    Send one operation and return its value. Raises VisitEnded.

    A temporary error is repeated with the same bytes, and so with the same key.
    """
    for nth in range(_MAX_ATTEMPTS):
        try:
            response = await world.api.request(request, seconds=world.patience)
        except TimeoutError:
            world.figures.fail(operation, LATE)
            continue
        except ConnectionRefusedError as error:
            world.figures.fail(operation, str(error))
            raise VisitEnded from None
        value, kind = _value(response)
        if kind is None:
            world.figures.note(operation, time.perf_counter() - since)
            return value
        world.figures.fail(operation, kind)
        if response.status != LOST and not any(code in kind for code in _TEMPORARY):
            raise VisitEnded
        await asyncio.sleep(world.rng.uniform(0.5, 1.5) * 2**nth)
    world.figures.fail(operation, f"given up after {_MAX_ATTEMPTS} tries")
    raise VisitEnded


def _value(response: Response) -> tuple[Json, str | None]:
    """Return the value of an answer's only field, and the kind of its error or None."""
    if response.status != 200:
        return {}, error_code(response)
    answer: Json = json.loads(response.body)
    if answer.get("errors"):
        return {}, error_code(response)
    value: Json = next(iter(answer["data"].values()))
    refusals: list[Json] = value.get("errors") or []
    return value, refusals[0]["code"] if refusals else None


async def _customer_pays(world: World, payment: Json) -> bool:
    """Let most customers pay, after a delay; return whether the sandbox confirmed it."""
    if world.rng.random() < 0.03:
        return False
    await asyncio.sleep(world.rng.uniform(0.2, 3.0))
    action: Json = {
        "wait": False,
        "repeat": world.rng.choice([1, 1, 1, 1, 3]),
        "drop_webhook": payment["method"] != "BANK_TRANSFER" and world.rng.random() < 0.05,
        "webhook_delay": world.rng.choice([0, 0, 0, 1]),
    }
    action |= (
        {"qr": payment["qr"]["payload"]}
        if payment["qr"]
        else {"payment_url": payment["paymentUrl"]}
    )
    try:
        response = await world.sandbox.request(
            post("/_sandbox/pay", action), seconds=world.patience
        )
    except TimeoutError:
        world.figures.fail("customer pays", LATE)
        return False
    if response.status != 200:
        world.figures.fail("customer pays", error_code(response))
        return False
    return True


async def _wait_until_final(world: World, payment_id: str, token: str, method: str) -> None:
    """
    Poll the payment, and verify it once at its gateway after a while.

    The time until the final status is taken from the payment's own times.
    """
    begun, has_verified = time.time(), False
    poll = world.supply.request("Payment", {"id": payment_id}, token)
    verify = world.supply.request("VerifyPayment", {"id": payment_id}, token)
    while (elapsed := time.time() - begun) < world.until_final:
        await asyncio.sleep(_POLL_INTERVAL)
        if elapsed > _VERIFY_AFTER and not has_verified:
            has_verified = True
            payload = await _send(world, "VerifyPayment", verify, since=time.perf_counter())
            payment = payload["payment"]
        else:
            payment = await _send(world, "Payment", poll, since=time.perf_counter())
        if payment["status"] in _FINAL:
            completed = datetime.fromisoformat(payment["completedAt"]).timestamp()
            world.figures.note(f"final {method}", max(completed - begun, 0.0))
            return
    world.figures.fail(f"final {method}", f"not within {world.until_final:.0f} s")
