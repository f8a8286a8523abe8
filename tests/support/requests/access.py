"""Who may do what: the table of operations and actors, and a document of each operation."""

from __future__ import annotations

# NV001, NV002 and SV001 are in one team; the other collector is in another.
# An operation is tried with data of NV002 ("own") and of the other collector ("other").
#   yes    it succeeds   404    NOT_FOUND   403    FORBIDDEN   401    UNAUTHENTICATED
TABLE = """
operation        subject | nobody NV002 NV001 SV001 CA001 FI001 AD001 AU001 dashboard
me               -       | 401    yes   yes   yes   yes   yes   yes   yes   yes
customer         -       | 401    yes   yes   yes   403   yes   yes   yes   403
bills            -       | 401    yes   yes   yes   403   yes   yes   yes   403
bill             -       | 401    yes   yes   yes   403   yes   yes   yes   403
limits           own     | 401    yes   404   yes   yes   yes   yes   yes   yes
limits           other   | 401    404   404   404   yes   yes   yes   yes   yes
limitPreview     -       | 401    yes   yes   yes   yes   yes   yes   yes   404
payment          own     | 401    yes   404   yes   yes   yes   yes   yes   yes
payment          other   | 401    404   404   404   yes   yes   yes   yes   yes
payments         own     | 401    yes   404   yes   yes   yes   yes   yes   yes
payments         other   | 401    404   404   404   yes   yes   yes   yes   yes
processPayment   -       | 401    yes   yes   yes   403   403   403   403   403
verifyPayment    own     | 401    yes   404   yes   403   yes   yes   403   403
verifyPayment    other   | 401    404   404   404   403   yes   yes   403   403
cancelPayment    own     | 401    yes   404   yes   403   403   yes   403   403
cancelPayment    other   | 401    404   404   404   403   403   yes   403   403
cases            own     | 401    403   403   yes   403   yes   yes   yes   yes
cases            other   | 401    403   403   404   403   yes   yes   yes   yes
resolveCase      own     | 401    403   403   403   403   yes   403   403   403
resolveCase      other   | 401    403   403   403   403   yes   403   403   403
voidCashPayment  own     | 401    yes   404   yes   403   403   403   403   403
voidCashPayment  other   | 401    404   404   404   403   403   403   403   403
refundPayment    own     | 401    403   403   403   403   yes   403   403   403
refundPayment    other   | 401    403   403   403   403   yes   403   403   403
paymentStatus    own     | 401    yes   404   yes   yes   yes   yes   yes   yes
paymentStatus    other   | 401    404   404   404   yes   yes   yes   yes   yes
paymentChanged   own     | 401    yes   404   yes   yes   yes   yes   yes   yes
paymentChanged   other   | 401    404   404   404   yes   yes   yes   yes   yes
submitHandIn     -       | 401    yes   yes   yes   403   403   403   403   403
confirmHandIn    own     | 401    403   403   403   yes   403   403   403   403
confirmHandIn    other   | 401    403   403   403   yes   403   403   403   403
handIns          own     | 401    yes   404   yes   yes   yes   yes   yes   yes
handIns          other   | 401    404   404   404   yes   yes   yes   yes   yes
webhookEvents    -       | 401    403   403   403   403   yes   yes   yes   403
replayWebhook    -       | 401    403   403   403   403   yes   yes   403   403
createOrder      -       | 401    403   403   403   403   403   403   403   403
payOrder         -       | 401    403   403   403   403   403   403   403   403
order            other   | 401    403   403   403   403   yes   yes   yes   yes
reconciliation   -       | 401    403   403   403   403   yes   yes   yes   yes
dayClose         own     | 401    yes   404   yes   yes   yes   yes   yes   yes
dayClose         other   | 401    404   404   404   yes   yes   yes   yes   yes
trialBalance     -       | 401    403   403   403   403   yes   yes   yes   yes
invariants       -       | 401    403   403   403   403   yes   yes   yes   yes
limitChanged     -       | 401    yes   yes   yes   yes   yes   yes   yes   404
login            -       | yes    yes   yes   yes   yes   yes   yes   yes   yes
refreshSession   -       | yes    yes   yes   yes   yes   yes   yes   yes   yes
logout           -       | 401    yes   yes   yes   yes   yes   yes   yes   yes
"""

DOCUMENTS = {
    "me": "query { me { staffId role } }",
    "customer": 'query { customer(contractNumber: "SGFDN1015") { name bills { amount } } }',
    "bills": 'query { bills(contractNumber: "SGFDN1015") { amount } }',
    "bill": 'query { bill(contractNumber: "SGFDN1015", billNumber: "U23SG0073526") { amount } }',
    "limits": "query ($staff: ID!) { limits(staffId: $staff) { kind } }",
    "limitPreview": "query { limitPreview(method: CASH, amount: 1) { allowed } }",
    "payment": "query ($id: ID!) { payment(id: $id) { id } }",
    "payments": (
        "query ($contract: ID!) { payments(filter: { contractNumber: $contract }) { edges { node"
        " { id } } } }"
    ),
    "processPayment": (
        "mutation ($input: ProcessPaymentInput!) { processPayment(input: $input) { payment"
        " { id } errors { code } } }"
    ),
    "verifyPayment": (
        "mutation ($id: ID!) { verifyPayment(id: $id) { payment { id } errors { code } } }"
    ),
    "cancelPayment": (
        'mutation ($id: ID!) { cancelPayment(id: $id, reason: "customer left") { payment { id }'
        " errors { code } } }"
    ),
    "voidCashPayment": (
        'mutation ($id: ID!, $key: String!) { voidCashPayment(id: $id, reason: "mistake",'
        " idempotencyKey: $key) { reversal { id } errors { code } } }"
    ),
    "refundPayment": (
        "mutation ($input: RefundInput!) { refundPayment(input: $input) { reversal { id }"
        " errors { code } } }"
    ),
    "submitHandIn": (
        "mutation ($input: HandInInput!) { submitHandIn(input: $input) { handIn { id }"
        " errors { code } } }"
    ),
    "confirmHandIn": (
        "mutation ($id: ID!) { confirmHandIn(id: $id, countedAmount: 1) { handIn { id }"
        " errors { code } } }"
    ),
    "dayClose": (
        'query ($staff: ID!) { dayClose(staffId: $staff, date: "2026-03-04") { collected } }'
    ),
    "trialBalance": "query { trialBalance { account } }",
    "handIns": "query ($staff: ID!) { handIns(staffId: $staff) { edges { node { id } } } }",
    "webhookEvents": "query { webhookEvents(outcome: HANDLED) { edges { node { id } } } }",
    "replayWebhook": (
        "mutation ($id: ID!) { replayWebhook(id: $id) { event { id } errors { code } } }"
    ),
    "createOrder": (
        "mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id }"
        " errors { code } } }"
    ),
    "payOrder": (
        "mutation ($input: PayOrderInput!) { payOrder(input: $input) { payment { id }"
        " errors { code } } }"
    ),
    "order": "query ($id: ID!) { order(id: $id) { id } }",
    "resolveCase": (
        "mutation ($input: ResolveCaseInput!) { resolveCase(input: $input) { case { id }"
        " errors { code } } }"
    ),
    "cases": "query { cases(first: 100) { edges { node { paymentId } } } }",
    "reconciliation": 'query { reconciliation(gateway: VNPAY, date: "2026-03-04") { status } }',
    "paymentStatus": "subscription ($id: ID!) { paymentStatus(id: $id) { id } }",
    "paymentChanged": (
        "subscription ($contract: ID!) { paymentChanged(filter: { contractNumber: $contract })"
        " { id } }"
    ),
    "invariants": "query { invariants { name holds } }",
    "limitChanged": "subscription { limitChanged { kind } }",
    "login": (
        'mutation { login(input: { staffId: "AU001", password: "mobinetAU001" }) { session'
        " { expiresAt } errors { code } } }"
    ),
    "refreshSession": (
        "mutation ($refresh: String!) { refreshSession(refreshToken: $refresh) { session"
        " { expiresAt } errors { code } } }"
    ),
    "logout": "mutation { logout { ok } }",
}
CODES = {"UNAUTHENTICATED": "401", "FORBIDDEN": "403", "NOT_FOUND": "404"}


def cells() -> list[tuple[str, str, str, str]]:
    """Return each cell as (operation, subject, actor, expected)."""
    heading, *lines = TABLE.strip().splitlines()
    actors = heading.partition("|")[2].split()
    found = []
    for line in lines:
        left, _, right = line.partition("|")
        operation, subject = left.split()
        found += [
            (operation, subject, actor, cell)
            for actor, cell in zip(actors, right.split(), strict=True)
        ]
    return found
