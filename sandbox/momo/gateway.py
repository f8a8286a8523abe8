"""MoMo: the customer's wallet, paid on its page or by QR, and reported by a single IPN."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import clock, pages
from sandbox.charges import Charge
from sandbox.momo.rules import (
    CREATE,
    MESSAGES,
    QUERY,
    REFUND,
    SIGNED,
    Rejected,
    canonical,
    check_amount,
    check_fields,
    sign,
    signed_by_one_of,
)
from sandbox.payer import PayerAction
from sandbox.web import ERRORS, Endpoint, Json, Refused
from sandbox.webhooks import WebhookRequest
from sandbox.world import World

LIFETIME = 6000  # seconds until an unpaid charge expires
# The customer's reason may replace the code of these: a decline's reason, or 9000 of a payment,
# which means paid in one-step capture.
STATUSES_WITH_A_REASON_CODE = ("paid", "declined")
CODES = {"pending": 1000, "paid": 0, "declined": 1006, "expired": 1005}


class MoMo:
    name = "momo"
    outcomes = ("paid", "declined", "expired")

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.store = world.store
        settings = world.settings.momo
        self.partner_code = settings.partner_code
        self.access_key = settings.access_key.get_secret_value()
        self.keys = settings.keys

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v2/gateway/api/create", self._endpoint(self.create), methods=["POST"]),
                Route("/v2/gateway/api/query", self._endpoint(self.query), methods=["POST"]),
                Route("/v2/gateway/api/refund", self._endpoint(self.refund), methods=["POST"]),
                Route("/pay/{token}", self.page, methods=["GET"]),
                Route("/pay/{token}", self.submitted, methods=["POST"]),
            ],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return self._rejection(await _fields(request), Rejected(11))

    # Requests of the merchant

    def _endpoint(self, operation: Callable[[Request, Json, bytes], Response]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            fields = await _fields(request)
            try:
                return operation(request, fields, await request.body())
            except Rejected as rejected:
                return self._rejection(fields, rejected)

        return endpoint

    def create(self, request: Request, fields: Json, raw: bytes) -> Response:
        check_fields(fields, CREATE)
        self._check_signature(fields, "create")
        amount = check_amount(fields.get("amount"))
        first = self.store.fetch_row(
            "select * from answers where system = ? and path = 'create' and key = ?",
            self.name, fields["requestId"],
        )  # fmt: skip
        fingerprint = hashlib.sha256(raw).hexdigest()
        if first is not None:
            return self._repeated(fields, first["fingerprint"] == fingerprint, first["body"])
        if self.charges.find(gateway=self.name, reference=fields["orderId"]):
            raise Rejected(41)
        number, token = self.charges.number(), secrets.token_urlsafe(24)
        pay_url = f"{request.base_url}{self.name}/pay/{token}"
        charge = self.charges.open(
            gateway=self.name,
            reference=fields["orderId"],
            amount=amount,
            expires_at=clock.now() + LIFETIME,
            gateway_id=number,
            token=token,
            qr=f"momo://app?action=payWithApp&isScanQR=true&serviceType=qr&sid={token}&v=3.0",
            payment_url=pay_url,
            details={name: fields[name] for name in ("requestId", "orderInfo", "extraData")}
            | {"redirect_url": fields["redirectUrl"], "ipn_url": fields["ipnUrl"]},
        )
        assert charge is not None
        answer = self._heading(fields, 0) | {
            "amount": amount,
            "payUrl": pay_url,
            "deeplink": f"momo://app?action=payWithApp&sid={token}",
            "qrCodeUrl": charge.qr,
        }
        self.store.execute(
            "insert into answers values (?, 'create', ?, ?, 200, ?)",
            self.name, fields["requestId"], fingerprint, json.dumps(answer),
        )  # fmt: skip
        return JSONResponse(answer)

    def _repeated(self, fields: Json, same: bool, answer: str) -> Response:
        """Return the first answer to a repeat. Raises Rejected while the charge is pending."""
        if not same:
            raise Rejected(40)
        charge = self.charges.find(gateway=self.name, reference=fields["orderId"])
        if charge is not None and charge.current_status == "pending":
            raise Rejected(7000, status=422)
        return Response(answer, media_type="application/json")

    def query(self, request: Request, fields: Json, raw: bytes) -> Response:
        check_fields(fields, QUERY)
        self._check_signature(fields, "query")
        charge = self.charges.find(gateway=self.name, reference=fields["orderId"])
        if charge is None:
            raise Rejected(42)
        paid = charge.status == "paid"
        return JSONResponse(
            self._heading(fields, _code(charge))
            | {
                "extraData": charge.details["extraData"],
                "amount": charge.current_amount,
                "transId": int(charge.gateway_id) if paid else 0,
                "payType": "qr" if paid else "",
                "refundTrans": [
                    {
                        "orderId": refund["refund_reference"],
                        "amount": refund["amount"],
                        "transId": int(refund["gateway_id"]),
                        "resultCode": 0,
                        "createdTime": round(refund["at"] * 1000),
                    }
                    for refund in self.charges.refunds()
                    if refund["charge_id"] == charge.id
                ],
            }
        )

    def refund(self, request: Request, fields: Json, raw: bytes) -> Response:
        check_fields(fields, REFUND)
        self._check_signature(fields, "refund")
        amount = check_amount(fields.get("amount"))
        charge = self.charges.find_by("gateway_id", str(fields.get("transId")))
        if charge is None or charge.gateway != self.name:
            raise Rejected(42, "transId")
        if self.charges.find(gateway=self.name, reference=fields["orderId"]):
            raise Rejected(41)
        for item in self.charges.refunds():
            if (item["gateway"], item["refund_reference"]) == (self.name, fields["orderId"]):
                if (item["charge_id"], item["amount"]) != (charge.id, amount):
                    raise Rejected(41)
                return self._refunded(fields, amount, item["gateway_id"])
        if charge.status != "paid":
            raise Rejected(1088)
        if self.charges.refunded(charge) + amount > charge.current_amount:
            raise Rejected(1081)
        number = self.charges.refund(charge, fields["orderId"], amount)
        return self._refunded(fields, amount, number)

    def _refunded(self, fields: Json, amount: int, number: str) -> Response:
        return JSONResponse(self._heading(fields, 0) | {"amount": amount, "transId": int(number)})

    def _check_signature(self, fields: Json, operation: str) -> None:
        known = {"amount": "", "transId": ""} | fields | {"accessKey": self.access_key}
        text = canonical(known, SIGNED[operation])
        signature = fields.get("signature")
        genuine = isinstance(signature, str) and signed_by_one_of(self.keys, text, signature)
        if fields["partnerCode"] != self.partner_code or not genuine:
            raise Rejected(13)

    def _heading(self, fields: Json, code: int) -> Json:
        return {
            "partnerCode": self.partner_code,
            "requestId": fields.get("requestId"),
            "orderId": fields.get("orderId"),
            "responseTime": round(clock.now() * 1000),
            "resultCode": code,
            "message": MESSAGES.get(code, MESSAGES[99]),
        }

    def _rejection(self, fields: Json, rejected: Rejected) -> Response:
        answer = self._heading(fields, rejected.code) | {"message": rejected.message}
        return JSONResponse(answer, rejected.status)

    # Pages for the customer

    async def page(self, request: Request) -> Response:
        charge = self._by_token(request)
        about = charge.details["orderInfo"]
        return HTMLResponse(pages.payment("MoMo", charge, about, decline="Từ chối"))

    async def submitted(self, request: Request) -> Response:
        charge = self._by_token(request)
        if charge.current_status != "pending":
            return HTMLResponse(pages.message("MoMo", MESSAGES[1005]), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        action = PayerAction(
            outcome="paid" if form.get("outcome") == "paid" else "declined", wait=False
        )
        await self.world.payer.perform(charge, action)
        settled = self.charges.find_by("token", charge.token)
        assert settled is not None
        back = urlencode(
            self._signed(self.webhook_fields(settled, action.outcome, None), forged=False)
        )
        return RedirectResponse(pages.with_query(charge.details["redirect_url"], back), 303)

    def _by_token(self, request: Request) -> Charge:
        charge = self.charges.find_by("token", request.path_params["token"])
        if charge is None or charge.gateway != self.name:
            raise Refused(404, "NOT_FOUND", MESSAGES[42])
        return charge

    def open_charge(self, url: str) -> Charge | None:
        path = urlsplit(url).path
        if "/momo/pay/" not in path:
            return None
        return self.charges.find_by("token", path.rpartition("/")[2])

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        return ()

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        code = int(reason) if outcome in STATUSES_WITH_A_REASON_CODE and reason else CODES[outcome]
        return {
            "ipn_url": charge.details["ipn_url"],
            "partnerCode": self.partner_code,
            "orderId": charge.reference,
            "requestId": charge.details["requestId"],
            "amount": charge.current_amount,
            "orderInfo": charge.details["orderInfo"],
            "orderType": "momo_wallet",
            "transId": int(charge.gateway_id),
            "resultCode": code,
            "message": MESSAGES.get(code, MESSAGES[99]),
            "payType": "qr" if outcome == "paid" else "",
            "responseTime": round((charge.paid_at or charge.created_at) * 1000),
            "extraData": charge.details["extraData"],
        }

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        return WebhookRequest(
            method="POST",
            url=fields["ipn_url"],
            headers={"Content-Type": "application/json; charset=UTF-8"},
            body=json.dumps(self._signed(fields, forged=forged), ensure_ascii=False).encode(),
        )

    def _signed(self, fields: Json, *, forged: bool) -> Json:
        content = {name: value for name, value in fields.items() if name != "ipn_url"}
        text = canonical(content | {"accessKey": self.access_key}, SIGNED["ipn"])
        return content | {
            "signature": sign(secrets.token_bytes(32) if forged else self.keys[0], text)
        }

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return status_code == 204


async def _fields(request: Request) -> Json:
    try:
        body: object = json.loads(await request.body())
    except ValueError:
        return {}
    return cast("Json", body) if isinstance(body, dict) else {}


def _code(charge: Charge) -> int:
    reason = charge.details.get("reason")
    return (
        int(reason)
        if charge.current_status in STATUSES_WITH_A_REASON_CODE and reason
        else CODES[charge.current_status]
    )
