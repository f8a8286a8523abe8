"""The first pass over a settlement file: each line about money that we do not know is evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from db import payments, settlement
from domain.methods import GatewayName
from domain.payments import Payment
from domain.reconciliation import ReconciliationLine
from domain.settlement import Line, LineKind, OurRefund, is_new_evidence, proves_refund
from resolvers import payment_evidence, refund_execution
from resolvers.context import Context
from resolvers.settlement_file import SettlementFile
from resolvers.settlement_lines import earlier_lines, repeats, take_refund

# The gateway's numbers of the lines so far, by kind and reference.
Numbers = dict[tuple[LineKind, str], list[str | None]]


@dataclass(slots=True, kw_only=True)
class _EvidencePass:
    """The first pass over the file. `claimed` are the earlier files' lines that it repeats."""

    context: Context
    gateway: GatewayName
    file: str
    numbers: Numbers = field(default_factory=lambda: defaultdict(list))
    claimed: set[int] = field(default_factory=set[int])


async def apply_evidence(context: Context, file: SettlementFile) -> None:
    """Apply each line about money that we do not know."""
    evidence_pass = _EvidencePass(context=context, gateway=file.gateway, file=file.name)
    for lines, _ in file.batches():
        await _apply_batch(evidence_pass, lines)


async def _apply_batch(evidence_pass: _EvidencePass, lines: Sequence[Line]) -> None:
    gateway, numbers = evidence_pass.gateway, evidence_pass.numbers
    references = list({line.reference for line in lines})
    payment_ids = await settlement.attempts_of(gateway, references)
    found = {
        payment.id: payment for payment in await payments.by_ids(list(set(payment_ids.values())))
    }
    refunds = await settlement.refunds_of(gateway, references)
    earlier = await earlier_lines(gateway, references)
    for about, stored_lines in earlier.items():
        numbers[about] += [line.gateway_id for line in stored_lines]
    for line in lines:
        about = (line.kind, line.reference)
        if line.kind is LineKind.REFUND:
            await _apply_refund(evidence_pass, line, refunds, earlier[about])
        else:
            payment = found.get(payment_ids.get(line.reference, ""))
            if payment is not None:
                found[payment.id] = await _apply_payment(evidence_pass, line, payment)
        numbers[about].append(line.gateway_id)


async def _apply_refund(
    evidence_pass: _EvidencePass,
    line: Line,
    refunds: dict[str, list[OurRefund]],
    earlier: Sequence[ReconciliationLine],
) -> None:
    is_repeated = repeats(line, earlier, evidence_pass.claimed)
    numbers = evidence_pass.numbers[line.kind, line.reference]
    is_again = line.gateway_id in numbers if line.gateway_id else is_repeated
    refund = take_refund(line, refunds, repeated=is_again)
    if refund is not None and proves_refund(line, refund):
        evidence = line.evidence(evidence_pass.gateway, evidence_pass.file)
        await refund_execution.apply_evidence(evidence_pass.context, refund.reversal_id, evidence)


async def _apply_payment(evidence_pass: _EvidencePass, line: Line, payment: Payment) -> Payment:
    """Return the payment after the line's evidence, unchanged where the line has none."""
    numbers = evidence_pass.numbers[line.kind, line.reference]
    if payment.attempt is None or not is_new_evidence(line, payment.attempt, numbers):
        return payment
    evidence = line.evidence(evidence_pass.gateway, evidence_pass.file)
    applied = await payment_evidence.apply(evidence_pass.context, line.reference, evidence)
    return applied.payment
