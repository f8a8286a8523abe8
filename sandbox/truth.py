"""What each outer system believes, for cross-checks, and the settlement files."""

from __future__ import annotations

import csv
import io
import json

from sandbox import clock
from sandbox.charges import Charge
from sandbox.messaging.messages import sent_messages
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
            for row in store.fetch_rows("select * from records order by rowid")
        ],
        "debts": [
            {
                key: row[key]
                for key in ("transaction_id", "contract_number", "amount", "times", "reversed")
            }
            for row in store.fetch_rows("select * from settlements order by rowid")
        ],
        "reversals": [
            dict(row)
            for row in store.fetch_rows("select * from reversals order by reversal_id, system")
        ],
        "reasons": [dict(row) for row in store.fetch_rows("select * from reasons order by id")],
        "messages": sent_messages(store),
        "conflicts": world.conflicts.list(),
    }


def _charge(world: World, charge: Charge) -> Json:
    return {
        "gateway": charge.gateway,
        "reference": charge.reference,
        "amount": charge.current_amount,
        "currency": charge.currency,
        "status": charge.current_status,
        "paid_at": None if charge.paid_at is None else clock.iso(charge.paid_at),
        "asked": charge.amount,
        "refunded": world.charges.refunded(charge),
        "gateway_id": charge.gateway_id,
    }


def settlement(world: World, gateway: str, day: str) -> str:
    """Return the payments and refunds of a Vietnamese day as CSV."""
    lines: list[tuple[float, Json]] = []
    for charge in world.charges.all():
        if charge.gateway == gateway and charge.status == "paid" and charge.paid_at:
            lines.append(
                (
                    charge.paid_at,
                    {
                        "reference": charge.reference,
                        # PayPal settles captures, not orders.
                        "gateway_id": capture_id(charge)
                        if gateway == "paypal"
                        else charge.gateway_id,
                        "kind": "payment",
                        "amount": charge.current_amount,
                        "currency": charge.currency,
                        "status": "success",
                    },
                )
            )
    for refund in world.charges.refunds():
        if refund["gateway"] == gateway:
            line = {key: refund[key] for key in ("reference", "gateway_id", "amount", "currency")}
            lines.append((refund["at"], line | {"kind": "refund", "status": "success"}))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for at, line in sorted(lines, key=lambda pair: pair[0]):
        if clock.local_day(at) == day:
            values = line | {"at": clock.local_iso(at)}
            writer.writerow([values[column] for column in COLUMNS])
    return file.getvalue()
