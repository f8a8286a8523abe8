"""Evidence about a payment, and the violations that are left afterwards."""

from __future__ import annotations

from db import engine
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment
from resolvers.payment_evidence import apply
from tests.crash.judge import broken
from tests.support.backend import Backend


async def apply_evidence(
    backend: Backend, payment: Payment, result: GatewayResult, source: EvidenceSource
) -> None:
    """Apply evidence about the payment's attempt, with its whole amount where it is PAID."""
    assert payment.attempt is not None
    paid = result is GatewayResult.PAID
    evidence = Evidence(
        source=source,
        origin=f"test:{source.lower()}",
        result=result,
        money=payment.attempt.money if paid else None,
        gateway_id="G1" if paid else None,
    )
    await apply(backend.context, payment.attempt.reference, evidence)


async def violations(backend: Backend) -> list[str]:
    """Return the broken rules of the judge that must always hold."""
    connection = await engine.own_connection()
    try:
        return await broken(connection, at_rest=False)
    finally:
        await connection.close()
