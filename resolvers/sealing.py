"""Sealing the audit log: its rows are linked into one chain, whose head is signed and published."""

from __future__ import annotations

import asyncio

import structlog

from db import chain
from db.transaction import transaction
from domain.chain import Seal, linked, sealed_text
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BATCH = 1000


async def seal(context: Context, *, most: int = BATCH) -> int:
    """
    Link and sign up to *most* audit rows; return how many, 0 while another process seals.

    The receipts' key signs, because a forged seal would be as bad as a forged receipt. The head is
    written outside the database after the commit. If a crash loses it, the next head covers its
    rows too. The worker calls this every 3 seconds.
    """
    now = await context.clock()
    async with transaction():
        if not await chain.lock_sealer():
            return 0
        tip = await chain.tip()
        links = linked(await chain.unlinked_rows(tip, most=most), number=tip.number, head=tip.hash)
        if not links:
            return 0
        key = context.keys.receipts.signing
        first, last, head = links[0].number, links[-1].number, links[-1].hash
        new_seal = Seal(
            first=first,
            last=last,
            head=head,
            key_id=key.id,
            signature=key.sign(sealed_text(first, last, head)),
            sealed_at=now,
        )
        await chain.add(links, new_seal)
    await asyncio.to_thread(context.heads.add, new_seal)
    log.info("audit_rows_sealed", first=first, last=last, head=head.hex(), key=key.id)
    return len(links)
