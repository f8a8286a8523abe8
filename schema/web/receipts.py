"""The public page of a payment: its QR while it can be paid, then its signed receipt."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from domain.bills import ItemType
from domain.calendar import local
from domain.methods import PaymentMethod
from domain.payments import Payment, PaymentStatus
from domain.refusals import NotFound
from resolvers import receipts
from resolvers.receipts import Receipt
from schema.graphql.http import language_of
from schema.payments import qr_image

STATUS_LABELS = {
    PaymentStatus.PENDING: "Đang chờ",
    PaymentStatus.PROCESSING: "Đang chờ thanh toán",
    PaymentStatus.SUCCESS: "Đã thanh toán",
    PaymentStatus.FAILED: "Không thành công",
    PaymentStatus.EXPIRED: "Đã hết hạn",
    PaymentStatus.CANCELLED: "Đã huỷ",
}

METHOD_LABELS = {
    PaymentMethod.CASH: "Tiền mặt",
    PaymentMethod.FPT_PAY: "Ví FPT Pay",
    PaymentMethod.VNPAY_QR: "Quét mã VNPAY-QR",
    PaymentMethod.BANK_TRANSFER: "Chuyển khoản",
    PaymentMethod.MOMO: "MoMo",
    PaymentMethod.CARD: "Thẻ",
    PaymentMethod.PAYPAL: "PayPal",
}
# Whoever has the address may read the page: it must not leak, and the page runs no script.
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
ITEM_LABELS = {ItemType.BILL: "Hoá đơn", ItemType.FEE: "Khoản phí"}


async def receipt_page(request: Request) -> Response:
    """Serve `GET /pay/{token}`: the page, or its signature with `Accept: application/json`."""
    context = request.app.state.context
    accepted = request.headers.get("accept", "")
    wants_json = "application/json" in accepted and "text/html" not in accepted
    try:
        receipt = await receipts.receipt(context, request.path_params["token"])
    except NotFound as refusal:
        text = refusal.text(language_of(request.headers))
        if wants_json:
            return JSONResponse({"error": {"code": refusal.code, "message": text}}, 404)
        return HTMLResponse(
            _PAGE.format(title="404", heading="Biên nhận", head="", body=f"<p>{escape(text)}</p>"),
            404,
            headers=_HEADERS,
        )
    if wants_json:
        signature = receipt.signature
        return JSONResponse(
            {
                "payload": signature.payload,
                "algorithm": signature.algorithm,
                "key_id": signature.key_id,
                "value": signature.value,
                "given_back": receipt.given_back,
            },
            headers=_HEADERS,
        )
    return HTMLResponse(_page(receipt), headers=_HEADERS)


def _page(receipt: Receipt) -> str:
    payment, signature = receipt.payment, receipt.signature
    rows = {
        "Mã giao dịch": payment.id,
        **_subject(payment),
        "Số tiền": _dong(payment.amount),
        "Hình thức": METHOD_LABELS[payment.method],
        "Thời điểm": f"{local(payment.completed_at or payment.created_at):%H:%M %d/%m/%Y}",
        "Người thu": payment.staff_name,
    }
    items = "".join(
        f"<li>{ITEM_LABELS[item.type]} {escape(item.id)}: {_dong(item.amount)}</li>"
        for item in payment.items
    )
    table = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    status = f'<p class="status {payment.status.lower()}">{STATUS_LABELS[payment.status]}</p>'
    body = f"""{status}{_given_back(receipt)}
{_qr(payment)}{_return_link(payment)}<table>{table}</table><ul>{items}</ul>
<h2>Chữ ký số</h2>
<p>{signature.algorithm}, khoá <code>{signature.key_id}</code>
trong <a href="/.well-known/jwks.json">jwks.json</a>, trên đúng dòng chữ sau:</p>
<pre>{escape(signature.payload)}</pre>
<pre>{escape(signature.value)}</pre>"""
    heading = "Biên nhận" if payment.is_final else "Thanh toán"
    title = f"{heading} {escape(payment.id)}"
    return _PAGE.format(title=title, heading=heading, head=_refresh(payment), body=body)


def _given_back(receipt: Receipt) -> str:
    """Return a note about a later reversal, after which the receipt proves no paid bill."""
    if not receipt.given_back:
        return ""
    whole = receipt.given_back == receipt.payment.amount
    label = "Đã huỷ hoặc hoàn lại toàn bộ" if whole else "Đã hoàn lại một phần"
    return f'<p class="status cancelled">{label}: {_dong(receipt.given_back)}</p>'


def _qr(payment: Payment) -> str:
    if payment.qr_payload is None:
        return ""
    return f'<p><img class="qr" alt="Mã QR" src="{qr_image(payment.qr_payload)}"></p>'


def _return_link(payment: Payment) -> str:
    address = _return_address(payment)
    if address is None:
        return ""
    return f'<p><a href="{escape(address)}">Quay lại trang bán hàng</a></p>'


def _refresh(payment: Payment) -> str:
    """Reload the page while the payment is open; then send an order's payer to the merchant."""
    if not payment.is_final:
        return '<meta http-equiv="refresh" content="3">'
    address = _return_address(payment)
    return f'<meta http-equiv="refresh" content="5;url={escape(address)}">' if address else ""


def _return_address(payment: Payment) -> str | None:
    """
    Return the merchant's page with the outcome; None before the payment is final.

    The address proves nothing, so merchants query the order.
    """
    if payment.return_url is None or payment.order is None or not payment.is_final:
        return None
    outcome = urlencode(
        {
            "order_id": payment.order.reference,
            "transaction_id": payment.id,
            "status": payment.status.lower(),
        }
    )
    parts = urlsplit(payment.return_url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, outcome)))))


def _subject(payment: Payment) -> dict[str, str]:
    if payment.order is not None:
        return {"Đơn hàng": payment.order.reference}
    assert payment.contract_number is not None
    return {"Hợp đồng": payment.contract_number}


def _dong(amount: int) -> str:
    return f"{amount:,} đ".replace(",", ".")


_PAGE = """<!doctype html><html lang="vi"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>{head}
<style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24}}
th{{text-align:left;font-weight:500;color:#57606a;padding:.25rem 1rem .25rem 0;vertical-align:top}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:.75rem;
border-radius:6px;font-size:.8rem}}
.status{{font-size:1.5rem;font-weight:600}}.success{{color:#1a7f37}}
.failed,.expired,.cancelled{{color:#cf222e}}
.qr{{width:16rem;max-width:100%}}
h2{{font-size:1rem;margin-top:2rem}}
</style></head><body><h1>{heading}</h1>{body}</body></html>"""
