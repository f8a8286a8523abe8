"""The GraphQL documents that tests send."""

from __future__ import annotations

import secrets

LOGIN = """
mutation ($input: LoginInput!) { login(input: $input) {
  session { accessToken refreshToken expiresAt staff { staffId name role permissions } }
  errors { code message } } }
"""
OWED = (
    "query ($contract: ID!) { customer(contractNumber: $contract) { bills { billNumber amount } } }"
)
REFUSAL = """
code message __typename
... on LimitExceeded { kind limit requested used reserved remaining resetsAt }
... on BillLocked { billNumber paymentId heldBy method until }
... on BillAlreadyPaid { billNumber paidAt }
... on IdempotencyKeyReused { paymentId }
... on IdempotencyInProgress { paymentId retryAfterMs }
... on GatewayUnavailable { gateway retryAfterMs alternatives }
... on UpstreamUnavailable { system retryAfterMs }
... on AmountMismatch { expected amountAsked: requested }
... on InvalidInput { field }
"""
PAYMENT = """
id version status method amount contractNumber needsVerification holdReason paymentUrl custody
confirmationLink qr { payload image expiresAt } gateway gatewayReference postingStatus
failure { code message } staff { staffId name } items { type id amount }
"""
PROCESS = f"""
mutation ($input: ProcessPaymentInput!) {{ processPayment(input: $input) {{
  payment {{ {PAYMENT} }} replayed errors {{ {REFUSAL} }} }} }}
"""
CANCEL = f"""
mutation ($id: ID!, $reason: String!) {{ cancelPayment(id: $id, reason: $reason) {{
  payment {{ {PAYMENT} }} errors {{ {REFUSAL} }} }} }}
"""
VERIFY = f"""
mutation ($id: ID!) {{ verifyPayment(id: $id) {{
  payment {{ {PAYMENT} }} errors {{ {REFUSAL} }} }} }}
"""


def key() -> str:
    """Return a new idempotency key."""
    return secrets.token_hex(16)
