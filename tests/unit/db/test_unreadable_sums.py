"""Cases about a sum that cannot be read: which of them a notice is about, and two people who name one sum."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from db import cases
from domain.cases import Approval, Case, CaseDecision, CaseKind, CaseStatus, about_money
from domain.payments import Payment
from tests.support.builders import NOW
from tests.support.database import a_kept_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

MISMATCH, LATE, TWICE = CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY, CaseKind.PAID_TWICE


def a_case(payment: Payment, number: str | None, kind: CaseKind = MISMATCH, **but: Any) -> Case:
    written = but.get("unreadable", "200.000")
    return Case(
        **{
            "id": unique("CASE_"),
            "kind": kind,
            "status": CaseStatus.OPEN,
            "opened_at": NOW,
            "payment_id": payment.id,
            "gateway": payment.gateway,
            "about": about_money(number, written),
            "unreadable": written,
        }
        | but
    )


async def opened(payment: Payment, number: str | None, *kind: CaseKind, **but: Any) -> Case:
    case = a_case(payment, number, *kind, **but)
    await cases.open_case(case)
    return case


async def known(case: Case) -> Case:
    found = await cases.by_id(case.id, NOW)
    assert found is not None
    return found


async def test_the_case_of_a_number_is_found_before_any_other() -> None:
    payment = await a_kept_payment()
    nameless, first, second = [await opened(payment, number) for number in (None, "G1", "G2")]
    for number, case in (("G1", first), ("G2", second), ("G3", nameless)):
        found = await cases.unread(payment.id, number, NOW)
        assert found is not None
        assert (found.id, found.number) == (case.id, case.number)
    assert await cases.unread((await a_kept_payment()).id, "G1", NOW) is None


async def test_a_claim_that_comes_again_joins_its_case_whatever_it_is_taken_for() -> None:
    payment = await a_kept_payment()
    case = await opened(payment, "G1")
    for kind in (MISMATCH, TWICE, LATE):
        again = a_case(payment, "G1", kind, unreadable="200,000")
        assert await cases.joined(again, number="G1") == case.id
    found = await known(case)
    assert (found.kind, found.unreadable, found.about) == (MISMATCH, "200,000", "G1 · 200,000")
    assert await cases.joined(a_case(payment, "G2"), number="G2") is None


@pytest.mark.parametrize("kind", [MISMATCH, LATE, TWICE])
async def test_a_sum_that_is_told_at_last_joins_the_case_of_its_number_and_no_other(
    kind: CaseKind,
) -> None:
    payment = await a_kept_payment()
    other, case = await opened(payment, "G2", kind), await opened(payment, "G1", kind)
    read = a_case(payment, "G1", kind, unreadable=None, amount=150_000)
    assert await cases.joined(read, number="G1") == case.id
    await cases.note_sum(payment.id, "G1", amount=150_000, case_id=case.id)
    found = await known(case)
    assert (found.amount, found.unreadable, found.about) == (150_000, None, "G1 · 200.000")
    assert (await known(other)).unreadable == "200.000"


async def test_a_sum_that_opens_no_case_is_noted_where_the_number_fits_or_none_is_known() -> None:
    payment = await a_kept_payment()
    nameless, named = await opened(payment, None), await opened(payment, "G1")
    await cases.note_sum(payment.id, "G1", amount=None, case_id=None)
    assert (await known(named)).unreadable is None
    assert (await known(nameless)).unreadable == "200.000"
    await cases.note_sum(payment.id, "G7", amount=5, case_id=None)
    assert (await known(nameless)).amount == 5


async def test_a_sum_that_has_a_case_of_its_own_is_noted_for_just_its_number() -> None:
    payment = await a_kept_payment()
    nameless, named = await opened(payment, None), await opened(payment, "G1")
    own = await opened(payment, "G1", TWICE, unreadable=None, amount=5)
    for number in ("G2", "G1"):
        await cases.note_sum(payment.id, number, amount=5, case_id=own.id)
    assert (await known(named)).amount == 5
    assert (await known(nameless)).unreadable == "200.000"


@pytest.mark.parametrize(
    ("sums", "resolved"),
    [
        ((9_000, 9_000), True),
        ((None, None), True),
        ((9_000, 8_000), False),
        ((None, 9_000), False),
        ((8_000, 9_000, 9_000), True),
    ],
)
async def test_two_people_resolve_a_case_by_the_same_sum_alone(
    sums: tuple[int | None, ...], resolved: bool, owner: asyncpg.Connection
) -> None:
    case = await opened(await a_kept_payment(), "G1")
    people = ("FI001", "FI001", "FI002") if len(sums) == 3 else ("FI001", "FI002")
    for actor, amount in zip(people, sums, strict=True):
        word = Approval(
            actor=actor, decision=CaseDecision.CREDIT, reason="statement", at=NOW, amount=amount
        )
        await cases.approve(case.id, word)
    statement = "update money_case set status = 'RESOLVED', decision = 'CREDIT' where id = $1"
    if resolved:
        await owner.execute(statement, case.id)
        assert [approval.amount for approval in (await known(case)).approvals] == list(sums)
    else:
        with pytest.raises(asyncpg.RaiseError, match="two people"):
            await owner.execute(statement, case.id)


async def test_nobody_names_nothing(owner: asyncpg.Connection) -> None:
    case = await opened(await a_kept_payment(), "G1")
    word = Approval(
        actor="FI001", decision=CaseDecision.CREDIT, reason="statement", at=NOW, amount=0
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await cases.approve(case.id, word)
