"""HTML pages: the index, a payment form, and a message after the payment."""

from __future__ import annotations

from html import escape

from sandbox import clock
from sandbox.charges import Charge

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 42rem; margin: 8vh auto; padding: 0 1rem }
main { border: 1px solid #8886; border-radius: 12px; padding: 1.5rem 2rem }
h1 { font-size: 1.2rem; margin-top: 0 } small { opacity: .7 }
.amount { font-size: 2rem; font-weight: 600; margin: 0 }
button { font: inherit; padding: .6rem 1.4rem; margin: 1rem .5rem 0 0; border-radius: 8px;
  border: 1px solid #8886; cursor: pointer }
button.pay { background: #0a7d38; color: #fff; border-color: #0a7d38 }
code, pre { font: .85rem/1.5 ui-monospace, monospace } pre { overflow-x: auto }
"""


def page(title: str, inside: str) -> str:
    return (
        '<!doctype html><html lang="vi"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><body><main>{inside}</main>"
    )


def message(name: str, text: str) -> str:
    return page(name, f"<h1>{escape(name)} · sandbox</h1><p>{escape(text)}</p>")


def with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


STATUSES = {
    "approved": "Đã đồng ý thanh toán.",
    "paid": "Đã thanh toán.",
    "declined": "Giao dịch đã bị từ chối.",
    "expired": "Đã hết hạn chờ thanh toán.",
    "suspicious": "Giao dịch bị nghi ngờ.",
    "reversed": "Giao dịch đã bị đảo.",
}


def payment(name: str, charge: Charge, about: str, *, decline: str) -> str:
    amount = (
        f"{charge.amount:,} ₫".replace(",", ".")
        if charge.currency == "VND"
        else f"{charge.amount / 100:,.2f} {charge.currency}"
    )
    head = (
        f"<h1>{escape(name)} · sandbox</h1><p>{escape(about)}</p>"
        f'<p class="amount">{amount}</p>'
        f"<p><small>{escape(charge.reference)} · hết hạn "
        f"{clock.local_iso(charge.expires_at)}</small></p>"
    )
    if charge.current_status != "pending":
        return page(name, f"{head}<p><strong>{STATUSES[charge.current_status]}</strong></p>")
    return page(
        name,
        f'{head}<form method="post">'
        '<button class="pay" name="outcome" value="paid">Thanh toán</button>'
        f'<button name="outcome" value="declined">{escape(decline)}</button></form>',
    )


def index(systems: list[str], base: str) -> str:
    served = " ".join(f"<code>/{escape(system)}</code>" for system in systems)
    return page(
        "Mobinet sandbox",
        f"""<h1>Mobinet · sandbox</h1>
<p>Stand-ins for the outer systems, each under its own name: {served}</p>
<p>Act as the customer: pay a charge by its QR payload, its payment page's address or our
reference. Outcomes: <code>paid declined expired</code>, at VNPay also
<code>suspicious reversed</code>.</p>
<pre>curl -X POST {escape(base)}_sandbox/pay \\
  -d '{{"reference": "…", "outcome": "paid"}}'
curl -X POST {escape(base)}_sandbox/faults \\
  -d '{{"system": "revenue", "fault": "timeout", "times": 1}}'
curl {escape(base)}_sandbox/truth
curl {escape(base)}_sandbox/requests?system=vnpay
curl {escape(base)}_sandbox/webhooks
curl {escape(base)}_sandbox/settlement/vnpay
curl -X POST {escape(base)}_sandbox/reset -d '{{"data": true}}'</pre>""",
    )
