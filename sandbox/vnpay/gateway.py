"""VNPay's redirect gateway 2.1.0: pay, genqr, querydr, refund, and its IPN calls."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox import clock, pages
from sandbox.bank import emv
from sandbox.charges import Charge
from sandbox.payer import PayerAction
from sandbox.vnpay.api import MerchantApi
from sandbox.vnpay.rules import (
    MESSAGES,
    PAYMENT,
    PAYMENT_OPTIONAL,
    Rejected,
    canonical,
    check_fields,
    sign,
    signed_by_one_of,
    whole_vnd,
)
from sandbox.web import ERRORS, Json, Refused
from sandbox.webhooks import WebhookRequest, response_field
from sandbox.world import World

CHOOSER = "/paymentv2/Transaction/PaymentMethod.html"
FIVE_MINUTES = 300
CALLS = 10
# Seconds by which the clocks of two machines may differ.
SKEW = 600

# outcome → vnp_ResponseCode, vnp_TransactionStatus
OUTCOMES = {
    "paid": ("00", "00"),
    "declined": ("51", "02"),
    "expired": ("11", "02"),
    "suspicious": ("07", "07"),
    "reversed": ("00", "04"),
}


class VNPay:
    name = "vnpay"
    outcomes = tuple(OUTCOMES)

    def __init__(self, world: World) -> None:
        self.world = world
        self.charges = world.charges
        self.terminal = world.settings.vnpay.tmn_code
        self.secrets = world.settings.vnpay.secrets
        self.ipn_url = f"{world.settings.api_url}/webhooks/vnpay"
        self.window = FIVE_MINUTES / world.settings.sandbox.time_scale
        self.merchant = MerchantApi(world, self.window)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/paymentv2/vpcpay.html", self.payment, methods=["GET", "POST"]),
                Route(CHOOSER, self.choose, methods=["GET"]),
                Route(CHOOSER, self.chosen, methods=["POST"]),
                Route("/paymentv2/Payment/Error.html", self.error),
                Route("/merchant_webapi/api/transaction", self.merchant.answer, methods=["POST"]),
            ],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        if request.url.path.endswith("/merchant_webapi/api/transaction"):
            return self.merchant.refusal(await request.body())
        fields = await _fields(request)
        return self._rejected(request, dict(fields), Rejected("02"))

    # Requests of the merchant

    async def payment(self, request: Request) -> Response:
        pairs = await _fields(request)
        fields = dict(pairs)
        try:
            if len(fields) != len(pairs):
                raise Rejected("03", "a field is repeated")
            charge = self._open(fields)
        except Rejected as rejected:
            return self._rejected(request, fields, rejected)
        if fields["vnp_Command"] == "genqr":
            return JSONResponse({"code": "00", "message": "Success", "qrcontent": charge.qr})
        page = f"{request.base_url}{self.name}{CHOOSER}?token={charge.token}"
        return RedirectResponse(page, 302)

    def _open(self, fields: dict[str, str]) -> Charge:
        if fields.get("vnp_TmnCode") != self.terminal:
            raise Rejected("02")
        signature = fields.get("vnp_SecureHash", "")
        if not signed_by_one_of(self.secrets, canonical(fields), signature):
            raise Rejected("97")
        check_fields(fields, PAYMENT, PAYMENT_OPTIONAL)
        amount = whole_vnd(fields["vnp_Amount"])
        created = clock.read_compact(fields["vnp_CreateDate"])
        expires = clock.read_compact(fields["vnp_ExpireDate"])
        assert created is not None
        assert expires is not None
        if created > clock.now() + SKEW:
            raise Rejected("03", "vnp_CreateDate is in the future (GMT+7?)")
        if expires <= created:
            raise Rejected("03", "vnp_ExpireDate is before vnp_CreateDate")
        if expires <= clock.now():
            raise Rejected("11", "vnp_ExpireDate (GMT+7?)")
        number = self.charges.number()
        qr = None
        if fields["vnp_Command"] == "genqr":
            qr = emv.vnpay_merchant(
                terminal=self.terminal,
                amount=amount,
                bill=fields["vnp_TxnRef"],
                number=number,
                purpose=fields["vnp_OrderInfo"],
            )
        charge = self.charges.open(
            gateway=self.name,
            reference=fields["vnp_TxnRef"],
            day=fields["vnp_CreateDate"][:8],
            amount=amount,
            expires_at=expires,
            gateway_id=number,
            qr=qr,
            details={
                "created": fields["vnp_CreateDate"],
                "info": fields["vnp_OrderInfo"],
                "return_url": fields["vnp_ReturnUrl"],
                "card": "QRCODE" if qr else "ATM",
            },
        )
        if charge is None:
            raise Rejected("94", "vnp_TxnRef was used today")
        return charge

    def _rejected(self, request: Request, fields: Json, rejected: Rejected) -> Response:
        if fields.get("vnp_Command") == "genqr":
            answer = {"code": rejected.code, "message": rejected.message, "qrcontent": ""}
            return JSONResponse(answer)
        page = f"{request.base_url}{self.name}/paymentv2/Payment/Error.html?code={rejected.code}"
        return RedirectResponse(page, 302)

    # Pages for the customer

    async def error(self, request: Request) -> Response:
        code = request.query_params.get("code", "99")
        text = MESSAGES.get(code, MESSAGES["99"])
        return HTMLResponse(pages.message("VNPAY", f"{text} (mã lỗi {code})"))

    async def choose(self, request: Request) -> Response:
        charge = self._by_token(request)
        return HTMLResponse(
            pages.payment("VNPAY", charge, charge.details["info"], decline="Hủy thanh toán")
        )

    async def chosen(self, request: Request) -> Response:
        charge = self._by_token(request)
        if charge.current_status != "pending":
            return HTMLResponse(pages.message("VNPAY", MESSAGES["11"]), 410)
        form = dict(parse_qsl((await request.body()).decode()))
        paid = form.get("outcome") == "paid"
        # 24: the customer cancelled.
        action = PayerAction(
            outcome="paid" if paid else "declined", reason=None if paid else "24", wait=False
        )
        await self.world.payer.perform(charge, action)
        settled = self.charges.find_by("token", charge.token)
        assert settled is not None
        fields = self.webhook_fields(settled, action.outcome, action.reason)
        back = self._signed(fields, forged=False)
        return RedirectResponse(pages.with_query(charge.details["return_url"], back), 303)

    def _by_token(self, request: Request) -> Charge:
        charge = self.charges.find_by("token", request.query_params.get("token", ""))
        if charge is None or charge.gateway != self.name:
            raise Refused(404, "NOT_FOUND", MESSAGES["91"])
        return charge

    def open_charge(self, url: str) -> Charge | None:
        address = urlsplit(url)
        fields = dict(parse_qsl(address.query, keep_blank_values=True))
        if address.path.endswith("/PaymentMethod.html"):
            return self.charges.find_by("token", fields.get("token", ""))
        if not address.path.endswith("/vpcpay.html"):
            return None
        charge = self.charges.find(
            gateway=self.name,
            reference=fields.get("vnp_TxnRef", ""),
            day=fields.get("vnp_CreateDate", "")[:8],
        )
        if charge is not None:
            return charge
        try:
            return self._open(fields)
        except Rejected as rejected:
            message = f"VNPay answers {rejected.code}: {rejected.message}"
            raise Refused(422, "CHARGE_REJECTED", message, answer=rejected.code) from None

    # Webhooks to the merchant

    @property
    def retry_delays(self) -> tuple[float, ...]:
        return (self.window,) * (CALLS - 1)

    def webhook_fields(self, charge: Charge, outcome: str, reason: str | None) -> Json:
        code, status = OUTCOMES[outcome]
        fields = {
            "vnp_TmnCode": self.terminal,
            "vnp_Amount": str(charge.current_amount * 100),
            "vnp_BankCode": "NCB",
            "vnp_CardType": charge.details["card"],
            "vnp_OrderInfo": charge.details["info"],
            "vnp_TransactionNo": "0",
            "vnp_ResponseCode": reason if outcome == "declined" and reason else code,
            "vnp_TransactionStatus": status,
            "vnp_TxnRef": charge.reference,
        }
        if outcome not in ("declined", "expired") and charge.paid_at:
            fields["vnp_TransactionNo"] = charge.gateway_id
            fields["vnp_BankTranNo"] = f"VNP{charge.gateway_id}"
            fields["vnp_PayDate"] = clock.compact(charge.paid_at)
        return fields

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        return WebhookRequest(
            method="GET", url=f"{self.ipn_url}?{self._signed(fields, forged=forged)}"
        )

    def _signed(self, fields: Json, *, forged: bool) -> str:
        text = canonical(fields)
        secret = secrets.token_bytes(32) if forged else self.secrets[0]
        return f"{text}&vnp_SecureHash={sign(secret, text)}"

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        return status_code == 200 and response_field(answer, "RspCode") in ("00", "02")


async def _fields(request: Request) -> list[tuple[str, str]]:
    raw = request.url.query or (await request.body()).decode(errors="replace")
    return parse_qsl(raw, keep_blank_values=True)
