"""Events that gateways' calls report."""

from __future__ import annotations

from piccolo.columns import JSONB, Boolean, Bytea, Integer, Text, Timestamptz, Varchar
from piccolo.constraints import Unique
from piccolo.table import Table

from db.engine import DB


class WebhookEventRow(Table, tablename="webhook_event", db=DB):
    """One event of a gateway's call, secrets masked. Without `event_id` it was not verified."""

    id = Varchar(length=40, primary_key=True, default=None)
    gateway = Varchar(length=20, default=None)
    event_id = Varchar(length=200, default=None, null=True)
    reference = Varchar(length=128, default=None, null=True)
    outcome = Varchar(length=20, default=None)
    method = Varchar(length=8, default=None)
    query = Text(default=None)
    headers = JSONB(default=None)
    body = Bytea(default=None)
    received_at = Timestamptz(default=None)
    handled_at = Timestamptz(default=None, null=True)
    deliveries = Integer(default=1)
    tries = Integer(default=0)
    path = Varchar(length=40, default="")
    masked = Boolean(default=False)

    an_event_once_a_gateway = Unique(["gateway", "event_id"])
