"""VNPay's protocol in npm's package `vnpay`: both sides sign alike and trust each other."""

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
from tests.support.gateways.dialects import NOW, ORDER, attempt, reversal
from tests.support.gateways.signing import vnpay_signed_query
from tests.support.gateways.vnpay import SECRET, TERMINAL, VNPayDialect, vnpay_ipn

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
# The peer adds terminal and signature, multiplies amounts by 100, and wants these as numbers.
ADDED_BY_PEER = {"vnp_TmnCode", "vnp_SecureHash"}
NUMBERS = {"vnp_CreateDate", "vnp_ExpireDate", "vnp_TransactionDate", "vnp_TransactionNo"}


@dataclass
class Peer:
    process: asyncio.subprocess.Process
    host: str

    async def run(self, call: str, given: dict[str, Any]) -> Any:
        hosts = {"vnpayHost": self.host, "queryDrAndRefundHost": self.host}
        config = hosts | {"tmnCode": TERMINAL, "secureSecret": SECRET}
        line = json.dumps({"config": config, "call": call, "given": given})
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(20):
            answer = json.loads(await self.process.stdout.readline())
        assert "result" in answer, answer
        return answer["result"]


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
    """Return the peer with the counterpart's address as VNPay's."""
    return Peer(process, address.url)


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return VNPayDialect().gateway(http)


def peer_fields(fields: dict[str, str]) -> dict[str, Any]:
    """Return our fields as the peer takes them."""
    given: dict[str, Any] = {
        name: int(value) if name in NUMBERS else value
        for name, value in fields.items()
        if name not in ADDED_BY_PEER
    }
    if "vnp_Amount" in given:
        given["vnp_Amount"] = int(given["vnp_Amount"]) // 100
    return given


def sent(seen: Seen) -> dict[str, str]:
    return {name: str(value) for name, value in seen.json.items()}


# A payment


async def test_the_page_of_a_payment_has_the_same_address(http: Upstream, peer: Peer) -> None:
    page = f"{peer.host}{PAGE}"
    vnpay = VNPay(http, tmn_code=TERMINAL, hash_secrets=[SECRET], page=page)
    address = (await vnpay.start(ATTEMPT, ORDER, now=NOW)).payment_url
    assert address
    fields = dict(parse_qsl(address.partition("?")[2]))
    assert await peer.run("buildPaymentUrl", peer_fields(fields)) == address


async def test_the_request_for_a_qr_is_the_same(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    counterpart.always(VNPayDialect().acceptance())
    await vnpay.start(ATTEMPT, ORDER, now=NOW)
    response = await peer.run("generateQr", peer_fields(counterpart.seen[0].fields))
    own, peers = counterpart.seen
    assert (peers.path, peers.query) == (own.path, own.query)
    assert response["code"] == "00"


async def test_every_text_is_signed_alike(peer: Peer) -> None:
    """The asterisk is left out: browsers do not encode it, and no text of ours holds one."""
    written = string.printable.strip().replace("*", "") + " and + more"
    fields = peer_fields(dict(parse_qsl(VNPayDialect().call("paid").query)))
    address = await peer.run("buildPaymentUrl", fields | {"vnp_OrderInfo": written})
    query = address.partition("?")[2]
    signed = dict(parse_qsl(query, keep_blank_values=True))
    assert signed["vnp_OrderInfo"] == written
    assert (
        f"{protocol.signed_query_text(signed)}&vnp_SecureHash={signed['vnp_SecureHash']}" == query
    )
    assert protocol.is_signed(
        [SECRET], protocol.signed_query_text(signed), signed["vnp_SecureHash"]
    )


# VNPay's call


@pytest.mark.parametrize("outcome", ["paid", "declined", "expired", "pending"])
async def test_both_trust_a_genuine_call_and_neither_a_changed_one(
    vnpay: VNPay, peer: Peer, outcome: str
) -> None:
    call = VNPayDialect().call(outcome)
    fields = dict(parse_qsl(call.query))
    (notice,) = vnpay.read_webhook(call)
    answer = await peer.run("verifyIpnCall", fields)
    assert answer["isVerified"] is True
    assert notice.evidence
    assert notice.evidence.money
    assert (answer["vnp_TxnRef"], answer["vnp_Amount"]) == (
        notice.reference,
        notice.evidence.money.amount,
    )
    changed = fields | {"vnp_Amount": "20000100"}
    assert (await peer.run("verifyIpnCall", changed))["isVerified"] is False
    query = "&".join(f"{name}={value}" for name, value in changed.items())
    with pytest.raises(BadCall, match="does not verify"):
        vnpay.read_webhook(replace(call, query=query))


async def test_a_call_that_the_peer_signed_is_trusted(vnpay: VNPay, peer: Peer) -> None:
    fields = peer_fields(dict(parse_qsl(VNPayDialect().call("paid").query)))
    address = await peer.run("buildPaymentUrl", fields)
    call = Call(
        method="GET", query=address.partition("?")[2], headers={}, body=b"", received_at=NOW
    )
    (notice,) = vnpay.read_webhook(call)
    assert notice.evidence
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, ATTEMPT.money)


async def test_neither_trusts_a_call_with_another_secret(vnpay: VNPay, peer: Peer) -> None:
    fields = dict(parse_qsl(VNPayDialect().call("paid").query))
    del fields["vnp_SecureHash"]
    forged = dict(parse_qsl(vnpay_signed_query(fields, "another")))
    assert (await peer.run("verifyIpnCall", forged))["isVerified"] is False
    with pytest.raises(BadCall):
        vnpay.read_webhook(vnpay_ipn(fields, "another"))


# Inquiries and refunds


@pytest.mark.parametrize("outcome", ["paid", "pending", "declined"])
async def test_both_send_the_same_inquiry_and_trust_its_answer(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart, outcome: str
) -> None:
    counterpart.always(VNPayDialect().inquiry_answer(outcome))
    evidence = await vnpay.inquire(ATTEMPT, now=NOW)
    answer = await peer.run("queryDr", peer_fields(sent(counterpart.seen[0])))
    own, peers = counterpart.seen
    assert (peers.path, sent(peers)) == (own.path, sent(own))
    assert answer["isVerified"] is True
    assert evidence.result is not GatewayResult.UNKNOWN


async def test_neither_trusts_a_changed_answer(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    fields = VNPayDialect().inquiry_fields("paid", reference=ATTEMPT.reference, amount=200_000)
    counterpart.always(says(fields | {"vnp_TransactionStatus": "02"}))
    assert (await vnpay.inquire(ATTEMPT, now=NOW)).result is GatewayResult.UNKNOWN
    answer = await peer.run("queryDr", peer_fields(sent(counterpart.seen[0])))
    assert answer["isVerified"] is False


@pytest.mark.parametrize("whole", [True, False])
async def test_both_send_the_same_refund(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart, whole: bool
) -> None:
    counterpart.always(VNPayDialect().refund_decline())
    evidence = await vnpay.refund(PAID, reversal(), whole=whole, now=NOW)
    answer = await peer.run("refund", peer_fields(sent(counterpart.seen[0])))
    own, peers = counterpart.seen
    assert (peers.path, sent(peers)) == (own.path, sent(own))
    assert evidence.result is GatewayResult.DECLINED
    assert answer["isVerified"] is True


async def test_the_peer_distrusts_the_answer_to_a_refund(
    vnpay: VNPay, peer: Peer, counterpart: Counterpart
) -> None:
    """The peer has a bug: it divides the amount by 100 before it checks the signature."""
    counterpart.always(VNPayDialect().refund_answer(50_000))
    assert (await vnpay.refund(PAID, reversal(), whole=False, now=NOW)).result is GatewayResult.PAID
    answer = await peer.run("refund", peer_fields(sent(counterpart.seen[0])))
    assert (answer["isVerified"], answer["vnp_Amount"]) == (False, 50_000)
