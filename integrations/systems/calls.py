"""What the calls to the internal systems have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain import identifiers
from domain.refusals import NotFound
from domain.reversals import Reversal
from domain.sentences import Noun
from integrations.http.client import Upstream
from integrations.http.failures import Unusable
from integrations.http.messages import Answer, Request
from integrations.http.parsing import check_success, path_segment, raising_unavailable

Result = TypeVar("Result")


async def fetch_of_contract(
    http: Upstream,
    system: str,
    resource: str,
    contract_number: str,
    read: Callable[[Answer, str], Result],
    *,
    operation: str,
) -> Result:
    """
    Return what `/api/<resource>/<contract number>` holds.

    *read* gets the answer and the number. Raises NotFound or UpstreamUnavailable.
    """
    number = path_segment(contract_number, noun=Noun.CONTRACT)

    def read_known(answer: Answer) -> Result:
        if answer.status == 404:
            raise NotFound.of(Noun.CONTRACT, id=number)
        return read(answer, number)

    request = Request(
        operation=operation,
        method="GET",
        path=f"/api/{resource}/{number}",
        subject=number,
        repeatable=True,
    )
    with raising_unavailable(system):
        return await http.call(request, read_known)


async def send(http: Upstream, system: str, request: Request) -> None:
    """Send a write. Raises Rejected for a definite refusal, else UpstreamUnavailable."""
    with raising_unavailable(system, pass_rejections=True):
        await http.call(request, check_success)


def keyed_post(operation: str, path: str, body: object, *, key: str, subject: str) -> Request:
    """Return a write that the system applies once under its idempotency *key*."""
    return Request(
        operation=operation,
        method="POST",
        path=path,
        body=body,
        headers={"Idempotency-Key": key},
        subject=subject,
        repeatable=True,
    )


def reversal_post(operation: str, path: str, reversal: Reversal) -> Request:
    """Return the report of a reversal; Revenue and Debt get the same body."""
    body = {
        "transaction_id": reversal.payment_id,
        "reversal_id": reversal.id,
        "kind": reversal.kind.lower(),
        "amount": reversal.amount,
        "reason": reversal.reason,
    }
    return keyed_post(operation, path, body, key=reversal.id, subject=reversal.payment_id)


def check_contract(answered: str, expected: str) -> None:
    """Raise Unusable for an answer about another contract."""
    if identifiers.contract_number(answered) != expected:
        raise Unusable("the answer is about another contract")
