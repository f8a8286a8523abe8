"""A bank with the merchant's account, and Casso and SePay, which report its transfers."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from sandbox import clock
from sandbox.bank import emv
from sandbox.charges import Charge
from sandbox.web import ERRORS, Json, Refused, unavailable
from sandbox.webhooks import WebhookRequest, response_field
from sandbox.world import World

NAPAS = "A000000727"
LIMIT = 500_000_000  # NAPAS247 takes less than this in one transfer
MINUTES = (1, 1, 2, 3, 5, 8, 13)  # SePay's published delays; Casso publishes none
A_LONG_TIME = 10 * 365 * 86_400  # a printed account QR never expires


class Bank:
    """A bank has no API to open a charge: a customer's transfer is its first news of a payment."""

    name = "bank"
    outcomes = ("paid",)

    def __init__(self, world: World) -> None:
        self.charges = world.charges
        self.account = world.settings.bank
        self.url = f"{world.settings.api_url}/webhooks/bank"
        self.scale = world.settings.sandbox.time_scale

    def app(self) -> Starlette:
        return Starlette(exception_handlers=ERRORS)

    async def refusal(self, request: Request) -> Response:
        return unavailable("The bank")

    # What the customer's app reads

    def open_charge(self, url: str) -> Charge | None:
        """
        Return the transfer that a QR describes, or None where the text is no valid QR.

        A scan reuses the pending transfer of the same amount; after it is paid, the next scan is a
        new one. Raises Refused.
        """
        if not emv.has_valid_checksum(url):
            return None
        try:
            tags = emv.decode(url)
            scheme = emv.decode(tags["38"])
            receiver = emv.decode(scheme["01"])
            additional = emv.decode(tags.get("62", ""))
        except (KeyError, ValueError):
            return None
        if scheme.get("00") != NAPAS or scheme.get("02") != "QRIBFTTA" or tags.get("53") != "704":
            raise Refused(422, "NOT_A_TRANSFER", "this QR is not a VND transfer to an account")
        if (receiver.get("00"), receiver.get("01")) != (self.account.bin, self.account.account):
            raise Refused(422, "UNKNOWN_ACCOUNT", "unknown bank or account number")
        amount = tags.get("54", "")
        if not amount.isdigit() or not 0 < int(amount) < LIMIT:
            raise Refused(422, "AMOUNT_REFUSED", "a transfer must be below 500,000,000 VND")
        return self._transfer(additional.get("08", ""), int(amount))

    def _transfer(self, purpose: str, amount: int) -> Charge:
        last = self.charges.find(gateway=self.name, reference=purpose)
        if last is not None and last.status == "pending" and last.amount == amount:
            return last
        number = self.charges.number()
        charge = self.charges.open(
            gateway=self.name,
            reference=purpose,
            day=number,
            amount=amount,
            expires_at=clock.now() + A_LONG_TIME,
            gateway_id=f"FT{number}",
            details={},
        )
        assert charge is not None
        return charge

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        return tuple(minutes * 60 / self.scale for minutes in MINUTES)

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        transfer: Json = charge.details.get("transfer") or {}
        written = transfer.get("content")
        if written is None:
            written = f"MBVCB.{charge.day}.{charge.reference}.CT tu 0011000000001 NGUYEN VAN A"
        by = transfer.get("by", "casso")
        notice = (
            int(charge.day),
            charge.gateway_id,
            written,
            charge.current_amount,
            transfer.get("account") or self.account.account,
            bool(transfer.get("outgoing")),
            clock.local_iso(charge.paid_at or charge.created_at)[:19].replace("T", " "),
        )
        return {"by": by, "event": _casso(*notice) if by == "casso" else _sepay(*notice)}

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        key = secrets.token_bytes(32) if forged else self.account.key(fields["by"])
        body = json.dumps(fields["event"], ensure_ascii=False).encode()
        if fields["by"] == "casso":
            headers = casso_signature(key, fields["event"], round(clock.now() * 1000))
        else:
            headers = sepay_signature(key, body, int(clock.now()))
        return WebhookRequest(
            method="POST",
            url=f"{self.url}/{fields['by']}",
            headers=headers | {"Content-Type": "application/json"},
            body=body,
        )

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return status_code in (200, 201) and response_field(answer, "success") is True


def casso_signature(key: bytes, event: Json, moment: int) -> Json:
    """Sign an event at *moment*, in milliseconds, as sorted JSON in JavaScript's spelling."""
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    proof = hmac.new(key, f"{moment}.{text}".encode(), hashlib.sha512).hexdigest()
    return {"X-Casso-Signature": f"t={moment},v1={proof}"}


def sepay_signature(key: bytes, body: bytes, moment: int) -> Json:
    """Sign the exact bytes of a body at *moment*, in seconds."""
    proof = hmac.new(key, str(moment).encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-SePay-Timestamp": str(moment), "X-SePay-Signature": f"sha256={proof}"}


def _casso(
    id: int, number: str, content: str, amount: int, account: str, outgoing: bool, at: str
) -> Json:
    return {
        "error": 0,
        "data": {
            "id": id,
            "reference": number,
            "description": content,
            "amount": -amount if outgoing else amount,
            "runningBalance": 25_000_000,
            "transactionDateTime": at,
            "accountNumber": account,
            "bankName": "Sandbox",
            "bankAbbreviation": "SBX",
            "virtualAccountNumber": "",
            "virtualAccountName": "",
            "counterAccountName": "NGUYỄN VĂN A",
            "counterAccountNumber": "0011000000001",
            "counterAccountBankId": "970415",
            "counterAccountBankName": "VietinBank",
        },
    }


def _sepay(
    id: int, number: str, content: str, amount: int, account: str, outgoing: bool, at: str
) -> Json:
    return {
        "id": id,
        "gateway": "Sandbox",
        "transactionDate": at,
        "accountNumber": account,
        "subAccount": None,
        "code": None,
        "content": content,
        "transferType": "out" if outgoing else "in",
        "description": f"BankAPINotify {content}",
        "transferAmount": amount,
        "accumulated": 25_000_000,
        "referenceCode": number,
    }
