"""VNPay's merchant API: querydr and refund at one address, signed over pipe-joined fields."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import clock
from sandbox.charges import Charge, Charges
from sandbox.store import Store
from sandbox.vnpay.rules import (
    MESSAGES,
    QUERY,
    QUERY_ANSWER,
    QUERY_OPTIONAL,
    REFUND,
    REFUND_ANSWER,
    Rejected,
    check_fields,
    piped,
    sign,
    signed_by_one_of,
    whole_vnd,
)
from sandbox.world import World

Fields = dict[str, str]

STATUS = {
    "pending": "01",
    "paid": "00",
    "declined": "02",
    "expired": "02",
    "suspicious": "07",
    "reversed": "04",
}


class MerchantApi:
    def __init__(self, world: World, window: float) -> None:
        self.store: Store = world.store
        self.charges: Charges = world.charges
        self.terminal = world.settings.vnpay.tmn_code
        self.secrets = world.settings.vnpay.secrets
        self.window = window

    async def answer(self, request: Request) -> Response:
        fields = read_fields(await request.body())
        refund = fields.get("vnp_Command") == "refund"
        try:
            with self.store.transaction():
                result = self._refund(fields) if refund else self._query(fields)
        except Rejected as rejected:
            return self._signed(fields, {}, rejected.code, rejected.message)
        return self._signed(fields, result, "00", "Refund Success" if refund else "QueryDR Success")

    def refusal(self, raw: bytes) -> Response:
        """Return a signed refusal: code 16 for a refund, 99 for an inquiry."""
        fields = read_fields(raw)
        code = "16" if fields.get("vnp_Command") == "refund" else "99"
        return self._signed(fields, {}, code, MESSAGES[code])

    def _query(self, fields: Fields) -> Fields:
        self._check(fields, QUERY, QUERY_OPTIONAL)
        self._once_a_day(fields)
        self._not_too_often(fields)
        charge = self._charge(fields)
        result = {
            "vnp_TmnCode": self.terminal,
            "vnp_TxnRef": charge.reference,
            "vnp_Amount": str(charge.current_amount * 100),
            "vnp_OrderInfo": charge.details["info"],
            "vnp_TransactionType": "01",
            "vnp_TransactionStatus": STATUS[charge.status],
            "vnp_TransactionNo": "0",
        }
        if charge.paid_at:
            result["vnp_BankCode"] = "NCB"
            result["vnp_PayDate"] = clock.compact(charge.paid_at)
            result["vnp_TransactionNo"] = charge.gateway_id
        latest = self.charges.latest_refund(charge)
        if latest is not None and fields.get("vnp_TransactionNo") != charge.gateway_id:
            # An inquiry without a transaction number returns the latest transaction of the
            # reference.
            whole = latest["amount"] == charge.current_amount
            result |= {
                "vnp_Amount": str(latest["amount"] * 100),
                "vnp_PayDate": clock.compact(latest["at"]),
                "vnp_TransactionNo": latest["gateway_id"],
                "vnp_TransactionType": "02" if whole else "03",
                "vnp_TransactionStatus": "05",
            }
        return result

    def _refund(self, fields: Fields) -> Fields:
        self._check(fields, REFUND, {})
        amount = whole_vnd(fields["vnp_Amount"])
        charge = self._charge(fields)
        if charge.status != "paid":
            raise Rejected("95")
        refunded = self.charges.refunded(charge)
        full = fields["vnp_TransactionType"] == "02"
        if self._refund_known(fields) or refunded == charge.current_amount:
            raise Rejected("94")
        if full and refunded:
            raise Rejected("04")
        if (full and amount != charge.current_amount) or refunded + amount > charge.current_amount:
            raise Rejected("93")
        number = self.charges.refund(charge, _daily(fields), amount)
        return {
            "vnp_TmnCode": self.terminal,
            "vnp_TxnRef": charge.reference,
            "vnp_Amount": str(amount * 100),
            "vnp_OrderInfo": fields["vnp_OrderInfo"],
            "vnp_BankCode": "NCB",
            "vnp_PayDate": clock.compact(clock.now()),
            "vnp_TransactionNo": number,
            "vnp_TransactionType": fields["vnp_TransactionType"],
            "vnp_TransactionStatus": "05",
        }

    def _check(
        self, fields: Fields, required: Mapping[str, str], optional: Mapping[str, str]
    ) -> None:
        if fields.get("vnp_TmnCode") != self.terminal:
            raise Rejected("02")
        signature = fields.get("vnp_SecureHash", "")
        if not signed_by_one_of(self.secrets, piped(fields, required), signature):
            raise Rejected("97")
        check_fields(fields, required, optional)

    def _charge(self, fields: Fields) -> Charge:
        created = fields["vnp_TransactionDate"]
        charge = self.charges.find(gateway="vnpay", reference=fields["vnp_TxnRef"], day=created[:8])
        number = fields.get("vnp_TransactionNo", "") or "0"
        if charge is None or charge.details["created"] != created:
            raise Rejected("91")
        if number not in ("0", charge.gateway_id):
            raise Rejected("91")
        return charge

    def _once_a_day(self, fields: Fields) -> None:
        if not self._note(f"request {_daily(fields)}"):
            raise Rejected("94", "vnp_RequestId was used today")

    def _refund_known(self, fields: Fields) -> bool:
        found = self.store.fetch_row(
            "select 1 from refunds where gateway = 'vnpay' and refund_reference = ?",
            _daily(fields),
        )
        return found is not None

    def _not_too_often(self, fields: Fields) -> None:
        name = f"charge {fields['vnp_TxnRef']} {fields['vnp_TransactionDate']}"
        last = self.store.fetch_value(
            "select at from inquiries where gateway = 'vnpay' and name = ?", name
        )
        if last is not None and clock.now() < last + self.window:
            raise Rejected("94")
        self.store.execute(
            "insert or replace into inquiries values ('vnpay', ?, ?)", name, clock.now()
        )

    def _note(self, name: str) -> bool:
        try:
            self.store.execute("insert into inquiries values ('vnpay', ?, ?)", name, clock.now())
        except sqlite3.IntegrityError:
            return False
        return True

    def _signed(self, request_fields: Fields, result: Fields, code: str, message: str) -> Response:
        refund = request_fields.get("vnp_Command") == "refund"
        answer = {
            "vnp_ResponseId": secrets.token_hex(16),
            "vnp_Command": request_fields.get("vnp_Command", ""),
            "vnp_ResponseCode": code,
            "vnp_Message": message,
            "vnp_TmnCode": request_fields.get("vnp_TmnCode", ""),
            "vnp_TxnRef": request_fields.get("vnp_TxnRef", ""),
        } | result
        text = piped(answer, REFUND_ANSWER if refund else QUERY_ANSWER)
        return JSONResponse(answer | {"vnp_SecureHash": sign(self.secrets[0], text)})


def read_fields(raw: bytes) -> Fields:
    """Return the body's fields as text; none where it is not a flat JSON object."""
    try:
        body: Any = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    fields = cast("dict[str, object]", body)
    plain = (str, int)
    return {
        name: str(value)
        for name, value in fields.items()
        if isinstance(value, plain) and not isinstance(value, bool)
    }


def _daily(fields: Fields) -> str:
    return f"{clock.local_day(clock.now())} {fields['vnp_RequestId']}"
