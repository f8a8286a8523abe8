"""Members of staff, their limits, and those who log in."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Bytea, Date, Timestamptz, Varchar
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from db.engine import DB
from db.tables.references import refers_to


class StaffRow(Table, tablename="staff", db=DB):
    """A member of staff who has logged in, as Staff Management last described them."""

    staff_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    team = Varchar(length=64, default=None, null=True)
    permissions = JSONB(default=None)
    seen_at = Timestamptz(default=None)


class StaffLimitRow(Table, tablename="staff_limit", db=DB):
    """
    What counts against a member of staff's ceiling, in VND.

    `first_reported_used` and `reported_used` are Staff Management's figures of the day at our first
    and latest reading; `own_used` is what our payments used. What is used in all is
    first_reported_used + greatest(own_used, reported_used - first_reported_used).
    """

    id = BigSerial(primary_key=True)
    staff = refers_to(StaffRow)
    business_date = Date(default=None)
    kind = Varchar(length=20, default=None)
    ceiling = BigInt(default=None)
    own_used = BigInt(default=None)
    reserved = BigInt(default=None)
    first_reported_used = BigInt(default=None)
    reported_used = BigInt(default=None)
    read_at = Timestamptz(default=None)

    one_row_a_day_and_kind = Unique(["staff", "business_date", "kind"])
    own_used_is_not_negative = Check("own_used >= 0")
    reserved_is_not_negative = Check("reserved >= 0")
    reported_used_is_not_negative = Check("reported_used >= 0 and first_reported_used >= 0")


class SessionRow(Table, tablename="session", db=DB):
    """One login. The refresh token is stored as a hash, the wallet's token encrypted."""

    id = Varchar(length=40, primary_key=True, default=None)
    staff = refers_to(StaffRow)
    refresh_hash = Bytea(default=None, unique=True)
    wallet_token = Bytea(default=None, null=True)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    ended_at = Timestamptz(default=None, null=True)


class ApiClientRow(Table, tablename="api_client", db=DB):
    """A program with its own credentials: a dashboard or a merchant. The secret is a hash."""

    client_id = Varchar(length=64, primary_key=True, default=None)
    name = Varchar(length=200, default=None)
    role = Varchar(length=20, default=None)
    secret_hash = Bytea(default=None)
    created_at = Timestamptz(default=None)
