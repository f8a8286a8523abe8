"""
Bank transfer by VietQR. We call no bank: Casso and SePay report the transfers on our account.

A QR holds our account, the amount and our reference. A transfer is matched by the reference in its
content. Its amount counts as it is: transfers are never added up or guessed.
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
from integrations.amounts import whole_number, with_amount
from integrations.bank import vietqr
from integrations.bank.notices import Transfer, read_casso, read_sepay
from integrations.text import plain

_log = structlog.stdlib.get_logger("integrations.bank.gateway")

QR = "bank:qr"

# Both services accept the same answer. We look for the payment of an unknown reference ourselves.
_REFUSAL_STATUSES = {Verdict.BAD_SIGNATURE: 401, Verdict.OUR_ERROR: 500}

Reader = Callable[[Call, Sequence[str]], tuple[Transfer, ...]]
_READERS: Mapping[str, Reader] = {"bank/casso": read_casso, "bank/sepay": read_sepay}


class BankTransfer:
    """Each of `casso_secrets` and `sepay_secrets` verifies: there are two during a rotation."""

    name = GatewayName.BANK
    paths = tuple(_READERS)
    methods = frozenset({"POST"})
    revocable = False
    inquiry_interval = 0.0

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
        name = plain(account_name, 25).upper()
        self._beneficiary = vietqr.Beneficiary(bin=bin, account=account, name=name)
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
                message="Chuyển khoản nhanh nhận dưới 500.000.000 đồng mỗi lần."
                " Hãy dùng cách khác.",
            )
            return Evidence(
                source=None, origin=QR, result=GatewayResult.NOT_CONNECTED, failure=failure
            )
        return self._own_evidence(attempt, GatewayResult.ACCEPTED)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """Return UNPAID with the QR, because no bank can be asked. Notices report the payment."""
        return self._own_evidence(attempt, GatewayResult.UNPAID)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        if call.path not in _READERS:
            raise BadCall("no service that watches our account uses this address")
        transfers = _READERS[call.path](call, self._secrets[call.path])
        origin = call.path.replace("/", ":")
        return tuple(self._notice(transfer, origin) for transfer in transfers)

    def answer(self, verdict: Verdict) -> Reply:
        status = _REFUSAL_STATUSES.get(verdict, 200)
        return Reply(status=status, body=orjson.dumps({"success": status == 200}))

    def payload(self, attempt: Attempt) -> str:
        """Return the QR's content, which the customer's banking app reads."""
        amount = attempt.money.amount
        return vietqr.payload(self._beneficiary, amount=amount, purpose=attempt.reference)

    def _own_evidence(self, attempt: Attempt, result: GatewayResult) -> Evidence:
        return Evidence(source=None, origin=QR, result=result, qr_payload=self.payload(attempt))

    def _notice(self, transfer: Transfer, origin: str) -> Notice:
        """
        Return a transfer as a notice, with evidence where money came that concerns us.

        A transfer that left the account, or came to another one without our reference, has no
        evidence. One to another account with our reference becomes a case: no payment has it.
        """
        reference = references.find(transfer.texts)
        to_us = self._beneficiary.account.upper() in transfer.accounts
        if not transfer.incoming or not (to_us or reference):
            return Notice(event_id=transfer.id, reference=reference, evidence=None)
        if not to_us:
            _log.warning("transfer_to_another_account", event_id=transfer.id, reference=reference)
        paid = Evidence(
            source=EvidenceSource.WEBHOOK,
            origin=origin,
            result=GatewayResult.PAID,
            gateway_id=transfer.number or transfer.id,
        )
        raw = transfer.amount
        return Notice(
            event_id=transfer.id,
            reference=reference if to_us else None,
            evidence=with_amount(paid, whole_number(raw), raw=raw, currency=Currency.VND),
        )
