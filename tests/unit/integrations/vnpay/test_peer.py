"""VNPay as somebody else spelled it, npm's `vnpay`: what we sign it would sign, and each believes the other."""

from __future__ import annotations

import asyncio
import json
import shutil
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from domain.gateways import BadCall, Call
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.vnpay import protocol
from integrations.vnpay.gateway import PAGE, VNPay
from tests.support.gateways.counterpart import Counterpart, Seen, says
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    SECRET,
    TERMINAL,
    VNPayDialect,
    attempt,
    reversal,
    vnpay_ipn,
    vnpay_query,
)

FOLDER = Path(__file__).parents[3] / "peers" / "vnpay"
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "vnpay").is_dir() or shutil.which("node") is None,
        reason="npm's vnpay is not here: `make peers` fetches it, with node and npm",
    ),
]

ATTEMPT = attempt()
PAID = replace(ATTEMPT, gateway_id="15099001")
# As the peer wants them: it writes the terminal, the version and × 100 by itself.
ITS_OWN = {"vnp_TmnCode", "vnp_SecureHash"}
NUMBERS = {"vnp_CreateDate", "vnp_ExpireDate", "vnp_TransactionDate", "vnp_TransactionNo"}


@dataclass
class Peer:
    process: asyncio.subprocess.Process
    host: str

    async def ask(self, call: str, given: dict[str, Any]) -> Any:
        hosts = {"vnpayHost": self.host, "queryDrAndRefundHost": self.host}
        config = hosts | {"tmnCode": TERMINAL, "secureSecret": SECRET}
        line = json.dumps({"config": config, "call": call, "given": given})
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(20):
            answer = json.loads(await self.process.stdout.readline())
        assert "said" in answer, answer
        return answer["said"]


@pytest.fixture(scope="module")
async def process() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        "node", "peer.js", cwd=FOLDER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    yield process
    assert process.stdin
    process.stdin.close()
    await process.wait()


@pytest.fixture
def peer(process: asyncio.subprocess.Process, address: Counterpart) -> Peer:
    """It calls the counterpart where it thinks that it calls VNPay."""
    return Peer(process, address.url)


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return VNPayDialect().gateway(http)


def given(fields: dict[str, str]) -> dict[str, Any]:
    """Return our fields as the peer takes them."""
    told: dict[str, Any] = {name: value for name, value in fields.items() if name not in ITS_OWN}
    told |= {name: int(told[name]) for name in NUMBERS & told.keys()}
    if "vnp_Amount" in told:
        told["vnp_Amount"] = int(told["vnp_Amount"]) // 100
    return told


def sent(seen: Seen) -> dict[str, str]:
    return {name: str(value) for name, value in seen.json.items()}


# A payment


async def test_the_page_that_a_customer_is_sent_to_has_the_same_address(
    http: Upstream, peer: Peer
) -> None:
    page = f"{peer.host}{PAGE}"
    ours = VNPay(http, tmn_code=TERMINAL, hash_secrets=[SECRET], page=page)
    address = (await ours.start(ATTEMPT, ORDER, now=NOW)).payment_url
    assert address
    fields = dict(parse_qsl(address.partition("?")[2]))
    assert await peer.ask("buildPaymentUrl", given(fields)) == address


async def test_a_qr_is_asked_for_in_the_same_words(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    counterpart.always(VNPayDialect().accepts())
    await vnpay.start(ATTEMPT, ORDER, now=NOW)
    told = await peer.ask("generateQr", given(counterpart.seen[0].fields))
    ours, theirs = counterpart.seen
    assert (theirs.path, theirs.query) == (ours.path, ours.query)
    assert told["code"] == "00"


async def test_whatever_is_written_is_signed_alike(peer: Peer) -> None:
    """But for the asterisk, which browsers do not encode: nothing of ours holds one."""
    written = string.printable.strip().replace("*", "") + " and + more"
    fields = given(dict(parse_qsl(VNPayDialect().calls("paid").query)))
    address = await peer.ask("buildPaymentUrl", fields | {"vnp_OrderInfo": written})
    query = address.partition("?")[2]
    told = dict(parse_qsl(query, keep_blank_values=True))
    assert told["vnp_OrderInfo"] == written
    assert f"{protocol.canonical(told)}&vnp_SecureHash={told['vnp_SecureHash']}" == query
    assert protocol.is_signed([SECRET], protocol.canonical(told), told["vnp_SecureHash"])


# VNPay's call


@pytest.mark.parametrize("outcome", ["paid", "declined", "expired", "pending"])
async def test_a_call_that_we_believe_the_peer_believes_and_a_changed_one_neither(
    vnpay: VNPay, peer: Peer, outcome: str
) -> None:
    call = VNPayDialect().calls(outcome)
    fields = dict(parse_qsl(call.query))
    (notice,) = vnpay.read_webhook(call)
    said = await peer.ask("verifyIpnCall", fields)
    assert said["isVerified"] is True
    assert notice.evidence
    assert notice.evidence.money
    assert (said["vnp_TxnRef"], said["vnp_Amount"]) == (
        notice.reference,
        notice.evidence.money.amount,
    )
    changed = fields | {"vnp_Amount": "20000100"}
    assert (await peer.ask("verifyIpnCall", changed))["isVerified"] is False
    query = "&".join(f"{name}={value}" for name, value in changed.items())
    with pytest.raises(BadCall, match="does not verify"):
        vnpay.read_webhook(replace(call, query=query))


async def test_a_call_that_the_peer_signed_is_believed(vnpay: VNPay, peer: Peer) -> None:
    fields = given(dict(parse_qsl(VNPayDialect().calls("paid").query)))
    address = await peer.ask("buildPaymentUrl", fields)
    call = Call(
        method="GET", query=address.partition("?")[2], headers={}, body=b"", received_at=NOW
    )
    (notice,) = vnpay.read_webhook(call)
    assert notice.evidence
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, ATTEMPT.money)


async def test_another_secret_convinces_neither(vnpay: VNPay, peer: Peer) -> None:
    fields = dict(parse_qsl(VNPayDialect().calls("paid").query))
    del fields["vnp_SecureHash"]
    forged = dict(parse_qsl(vnpay_query(fields, "another")))
    assert (await peer.ask("verifyIpnCall", forged))["isVerified"] is False
    with pytest.raises(BadCall):
        vnpay.read_webhook(vnpay_ipn(fields, "another"))


# To ask, and to give back


@pytest.mark.parametrize("outcome", ["paid", "pending", "declined"])
async def test_an_inquiry_is_sent_alike_and_its_answer_believed_by_both(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart, outcome: str
) -> None:
    counterpart.always(VNPayDialect().tells(outcome))
    found = await vnpay.inquire(ATTEMPT, now=NOW)
    said = await peer.ask("queryDr", given(sent(counterpart.seen[0])))
    ours, theirs = counterpart.seen
    assert (theirs.path, sent(theirs)) == (ours.path, sent(ours))
    assert said["isVerified"] is True
    assert found.result is not GatewayResult.UNKNOWN


async def test_an_answer_that_was_changed_convinces_neither(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    told = VNPayDialect().inquiry("paid", reference=ATTEMPT.reference, amount=200_000)
    counterpart.always(says(told | {"vnp_TransactionStatus": "02"}))
    assert (await vnpay.inquire(ATTEMPT, now=NOW)).result is GatewayResult.UNKNOWN
    said = await peer.ask("queryDr", given(sent(counterpart.seen[0])))
    assert said["isVerified"] is False


@pytest.mark.parametrize("whole", [True, False])
async def test_a_refund_is_asked_for_alike(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart, whole: bool
) -> None:
    counterpart.always(VNPayDialect().gives_nothing_back())
    no = await vnpay.refund(PAID, reversal(), whole=whole, now=NOW)
    said = await peer.ask("refund", given(sent(counterpart.seen[0])))
    ours, theirs = counterpart.seen
    assert (theirs.path, sent(theirs)) == (ours.path, sent(ours))
    assert no.result is GatewayResult.DECLINED
    assert said["isVerified"] is True


async def test_the_answer_of_a_refund_is_where_the_peer_is_wrong(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    """It checks the signature over an amount that it has divided by 100 before. When this fails, it no longer does."""
    counterpart.always(VNPayDialect().gives_back(50_000))
    assert (await vnpay.refund(PAID, reversal(), whole=False, now=NOW)).result is GatewayResult.PAID
    said = await peer.ask("refund", given(sent(counterpart.seen[0])))
    assert (said["isVerified"], said["vnp_Amount"]) == (False, 50_000)
