"""Cases about an unreadable amount: which of them evidence is about, and who resolves them."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from db import cases
from domain.cases import Approval, Case, CaseDecision, CaseKind, CaseStatus, about_money
from domain.payments import Payment
from tests.support.builders import NOW
from tests.support.database import add_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

MISMATCH, LATE, TWICE = CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY, CaseKind.PAID_TWICE


def a_case(payment: Payment, number: str | None, kind: CaseKind = MISMATCH, **fields: Any) -> Case:
    written = fields.get("unreadable", "200.000")
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
        | fields
    )


async def open_case(payment: Payment, number: str | None, *kind: CaseKind, **fields: Any) -> Case:
    case = a_case(payment, number, *kind, **fields)
    await cases.add(case)
    return case


async def stored(case: Case) -> Case:
    found = await cases.by_id(case.id, NOW)
    assert found is not None
    return found


async def test_a_case_with_the_number_is_found_before_another() -> None:
    payment = await add_payment()
    unnumbered, first, second = [await open_case(payment, number) for number in (None, "G1", "G2")]
    for number, case in (("G1", first), ("G2", second), ("G3", unnumbered)):
        found = await cases.open_unreadable(payment.id, number, NOW)
        assert found is not None
        assert (found.id, found.number) == (case.id, case.number)
    assert await cases.open_unreadable((await add_payment()).id, "G1", NOW) is None


async def test_a_repeated_claim_joins_its_case_whatever_its_kind() -> None:
    payment = await add_payment()
    case = await open_case(payment, "G1")
    for kind in (MISMATCH, TWICE, LATE):
        repeated = a_case(payment, "G1", kind, unreadable="200,000")
        assert await cases.join_open_case(repeated, number="G1") == case.id
    found = await stored(case)
    assert (found.kind, found.unreadable, found.about) == (MISMATCH, "200,000", "G1 · 200,000")
    assert await cases.join_open_case(a_case(payment, "G2"), number="G2") is None


@pytest.mark.parametrize("kind", [MISMATCH, LATE, TWICE])
async def test_an_amount_that_is_read_at_last_joins_the_case_of_its_number_only(
    kind: CaseKind,
) -> None:
    payment = await add_payment()
    other, case = await open_case(payment, "G2", kind), await open_case(payment, "G1", kind)
    read = a_case(payment, "G1", kind, unreadable=None, amount=150_000)
    assert await cases.join_open_case(read, number="G1") == case.id
    await cases.note_amount(payment.id, "G1", amount=150_000, case_id=case.id)
    found = await stored(case)
    assert (found.amount, found.unreadable, found.about) == (150_000, None, "G1 · 200.000")
    assert (await stored(other)).unreadable == "200.000"


async def test_an_amount_without_a_case_is_noted_where_the_number_fits_or_is_unknown() -> None:
    payment = await add_payment()
    unnumbered, numbered = await open_case(payment, None), await open_case(payment, "G1")
    await cases.note_amount(payment.id, "G1", amount=None, case_id=None)
    assert (await stored(numbered)).unreadable is None
    assert (await stored(unnumbered)).unreadable == "200.000"
    await cases.note_amount(payment.id, "G7", amount=5, case_id=None)
    assert (await stored(unnumbered)).amount == 5


async def test_an_amount_with_its_own_case_is_noted_for_its_number_only() -> None:
    payment = await add_payment()
    unnumbered, numbered = await open_case(payment, None), await open_case(payment, "G1")
    own = await open_case(payment, "G1", TWICE, unreadable=None, amount=5)
    for number in ("G2", "G1"):
        await cases.note_amount(payment.id, number, amount=5, case_id=own.id)
    assert (await stored(numbered)).amount == 5
    assert (await stored(unnumbered)).unreadable == "200.000"


@pytest.mark.parametrize(
    ("amounts", "resolved"),
    [
        ((9_000, 9_000), True),
        ((None, None), True),
        ((9_000, 8_000), False),
        ((None, 9_000), False),
        ((8_000, 9_000, 9_000), True),
    ],
)
@pytest.mark.invariant(25)
async def test_two_people_resolve_a_case_only_with_the_same_amount(
    amounts: tuple[int | None, ...], resolved: bool, owner: asyncpg.Connection
) -> None:
    case = await open_case(await add_payment(), "G1")
    people = ("FI001", "FI001", "FI002") if len(amounts) == 3 else ("FI001", "FI002")
    for actor, amount in zip(people, amounts, strict=True):
        vote = Approval(
            actor=actor, decision=CaseDecision.CREDIT, reason="statement", at=NOW, amount=amount
        )
        await cases.add_approval(case.id, vote)
    statement = "update money_case set status = 'RESOLVED', decision = 'CREDIT' where id = $1"
    if resolved:
        await owner.execute(statement, case.id)
        assert [approval.amount for approval in (await stored(case)).approvals] == list(amounts)
    else:
        with pytest.raises(asyncpg.RaiseError, match="two people"):
            await owner.execute(statement, case.id)


async def test_a_vote_cannot_name_an_amount_of_zero(owner: asyncpg.Connection) -> None:
    case = await open_case(await add_payment(), "G1")
    vote = Approval(
        actor="FI001", decision=CaseDecision.CREDIT, reason="statement", at=NOW, amount=0
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await cases.add_approval(case.id, vote)
