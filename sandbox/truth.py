"""What each outer system believes, for cross-checking, and the settlement files that follow from it."""

from __future__ import annotations

import csv
import io
import json

from sandbox import clock
from sandbox.charges import Charge
from sandbox.messaging.messages import sent
from sandbox.paypal.objects import capture_id
from sandbox.web import Json
from sandbox.world import World

COLUMNS = ("reference", "gateway_id", "kind", "amount", "currency", "status", "at")


def truth(world: World) -> Json:
    store = world.store
    return {
        "charges": [_charge(world, charge) for charge in world.charges.all()],
        "refunds": [
            {
                "gateway": refund["gateway"],
                "reference": refund["reference"],
                "refund_reference": refund["refund_reference"],
                "amount": refund["amount"],
                "status": "refunded",
                "times": 1,
                "at": clock.iso(refund["at"]),
            }
            for refund in world.charges.refunds()
        ],
        "records": [
            {
                "transaction_id": row["transaction_id"],
                "contract_number": row["contract_number"],
                "items": json.loads(row["items"]),
                "times": row["times"],
                "reversed": row["reversed"],
            }
            for row in store.all("select * from records order by rowid")
        ],
        "debts": [
            {key: row[key] for key in ("transaction_id", "contract_number", "amount", "times", "reversed")}
            for row in store.all("select * from settlements order by rowid")
        ],
        "reversals": [dict(row) for row in store.all("select * from reversals order by reversal_id, system")],
        "reasons": [dict(row) for row in store.all("select * from reasons order by id")],
        "messages": sent(store),
        "conflicts": world.conflicts.list(),
    }  # fmt: skip


def _charge(world: World, charge: Charge) -> Json:
    return {
        "gateway": charge.gateway,
        "reference": charge.reference,
        "amount": charge.money,
        "currency": charge.currency,
        "status": charge.now,
        "paid_at": None if charge.paid_at is None else clock.iso(charge.paid_at),
        "asked": charge.amount,
        "refunded": world.charges.refunded(charge),
        "gateway_id": charge.gateway_id,
    }


def settlement(world: World, gateway: str, day: str) -> str:
    """Money that moved on a Vietnamese day: payments and refunds, as CSV."""
    lines: list[tuple[float, Json]] = []
    for charge in world.charges.all():
        if charge.gateway == gateway and charge.status == "paid" and charge.paid_at:
            lines.append(
                (
                    charge.paid_at,
                    {
                        "reference": charge.reference,
                        # PayPal settles captures, not the orders that they are of.
                        "gateway_id": capture_id(charge)
                        if gateway == "paypal"
                        else charge.gateway_id,
                        "kind": "payment",
                        "amount": charge.money,
                        "currency": charge.currency,
                        "status": "success",
                    },
                )
            )
    for refund in world.charges.refunds():
        if refund["gateway"] == gateway:
            told = {key: refund[key] for key in ("reference", "gateway_id", "amount", "currency")}
            lines.append((refund["at"], told | {"kind": "refund", "status": "success"}))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for at, line in sorted(lines, key=lambda pair: pair[0]):
        if clock.local_day(at) == day:
            told = line | {"at": clock.local_iso(at)}
            writer.writerow([told[column] for column in COLUMNS])
    return file.getvalue()
