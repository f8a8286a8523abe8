"""Sealing: the audit rows are linked into one chain, signed, and its head is told outside."""

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
    Link and sign up to *most* audit rows; return how many. Whoever finds another at it does nothing.

    The receipts' key signs: who could forge a seal could forge a receipt as well. The head is told
    after the commit: one that a crash leaves untold is covered by the next.
    """
    now = await context.clock()
    async with transaction():
        if not await chain.alone():
            return 0
        tip = await chain.tip()
        links = linked(await chain.waiting(tip, most=most), number=tip.number, head=tip.hash)
        if not links:
            return 0
        key = context.keys.receipts.signing
        first, last, head = links[0].number, links[-1].number, links[-1].hash
        made = Seal(
            first=first,
            last=last,
            head=head,
            key_id=key.id,
            signature=key.sign(sealed_text(first, last, head)),
            sealed_at=now,
        )
        await chain.add(links, made)
    await asyncio.to_thread(context.heads.add, made)
    log.info("sealed", first=first, last=last, head=head.hex(), key=key.id)
    return len(links)
