"""
Bank transfer by VietQR: we call nobody, and are told of transfers by who watches our account.

A QR holds our account, the amount and our reference. What then comes is found by the reference in the
transfer's content, and counts as it is: transfers are never added up, and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import orjson
import structlog

from domain import references
from domain.attempts import Attempt, Failure
from domain.gateways import BadCall, Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.amounts import whole, with_sum
from integrations.bank import vietqr
from integrations.bank.notices import Transfer, casso, sepay
from integrations.text import plain

_log = structlog.stdlib.get_logger("integrations.bank.gateway.gateway")

QR = "bank:qr"

# Both services are content with the one answer. What no payment is known for we look for ourselves.
_NO = {Verdict.BAD_SIGNATURE: 401, Verdict.OUR_ERROR: 500}

Reader = Callable[[Call, Sequence[str]], tuple[Transfer, ...]]
_READERS: Mapping[str, Reader] = {"bank/casso": casso, "bank/sepay": sepay}


class BankTransfer:
    """`casso_secrets` and `sepay_secrets`: any of them signs, two during a rotation."""

    name = GatewayName.BANK
    paths = tuple(_READERS)
    methods = frozenset({"POST"})
    revocable = False
    ask_again_after = 0.0

    def __init__(
        self,
        *,
        bin: str,
        account: str,
        account_name: str,
        casso_secrets: Sequence[str],
        sepay_secrets: Sequence[str],
    ) -> None:
        assert casso_secrets, "Casso needs a secret"
        assert sepay_secrets, "SePay needs a secret"
        self._bin = bin
        self._account = account
        self._name = plain(account_name, 25).upper()
        self._secrets = {"bank/casso": tuple(casso_secrets), "bank/sepay": tuple(sepay_secrets)}

    def ready(self) -> bool:
        return True

    def retry_after_ms(self) -> int | None:
        return None

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        assert attempt.money.currency is Currency.VND
        if not 0 < attempt.money.amount < vietqr.LIMIT:
            failure = Failure(
                code="AMOUNT",
                message="Chuyển khoản nhanh nhận dưới 500.000.000 đồng mỗi lần. Hãy dùng cách khác.",
            )
            return Evidence(
                source=None, origin=QR, result=GatewayResult.NOT_CONNECTED, failure=failure
            )
        return self._said(attempt, GatewayResult.ACCEPTED)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """There is nobody to ask: unpaid so far is what no notice contradicts. A QR that was lost is made again."""
        return self._said(attempt, GatewayResult.UNPAID)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        if call.path not in _READERS:
            raise BadCall("nobody who watches our account calls here")
        transfers = _READERS[call.path](call, self._secrets[call.path])
        source = call.path.replace("/", ":")
        return tuple(self._notice(transfer, source) for transfer in transfers)

    def answer(self, verdict: Verdict) -> Reply:
        status = _NO.get(verdict, 200)
        return Reply(status=status, body=orjson.dumps({"success": status == 200}))

    def payload(self, attempt: Attempt) -> str:
        """Return what the customer's banking app reads."""
        return vietqr.payload(
            bin=self._bin,
            account=self._account,
            amount=attempt.money.amount,
            purpose=attempt.reference,
            name=self._name,
        )

    def _said(self, attempt: Attempt, result: GatewayResult) -> Evidence:
        return Evidence(source=None, origin=QR, result=result, qr_payload=self.payload(attempt))

    def _notice(self, transfer: Transfer, source: str) -> Notice:
        """
        What left the account, or came to another one and names no payment of ours, is nothing to us.

        What came to another account and names one is money for people to look for: no payment has it.
        """
        reference = references.find(transfer.texts)
        ours = self._account.upper() in transfer.accounts
        if not transfer.incoming or not (ours or reference):
            return Notice(event_id=transfer.id, reference=reference, evidence=None)
        if not ours:
            _log.warning("transfer_to_another_account", event_id=transfer.id, reference=reference)
        paid = Evidence(
            source=EvidenceSource.WEBHOOK,
            origin=source,
            result=GatewayResult.PAID,
            gateway_id=transfer.number or transfer.id,
        )
        written = transfer.amount
        return Notice(
            event_id=transfer.id,
            reference=reference if ours else None,
            evidence=with_sum(paid, whole(written), written=written, currency=Currency.VND),
        )
