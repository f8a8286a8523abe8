"""Evidence about a payment, and the violations that are left afterwards."""

from __future__ import annotations

from db import engine
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment
from resolvers.payment_evidence import apply
from tests.crash.judge import broken
from tests.support.backend import Backend


async def said(
    backend: Backend, payment: Payment, result: GatewayResult, grade: EvidenceSource
) -> None:
    assert payment.attempt is not None
    paid = result is GatewayResult.PAID
    saying = Evidence(
        source=grade,
        origin=f"test:{grade.lower()}",
        result=result,
        money=payment.attempt.money if paid else None,
        gateway_id="G1" if paid else None,
    )
    await apply(backend.context, payment.attempt.reference, saying)


async def wrong(backend: Backend) -> list[str]:
    connection = await engine.own_connection()
    try:
        return await broken(connection, at_rest=False)
    finally:
        await connection.close()
