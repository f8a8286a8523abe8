"""Cash of yesterday counts against the cash limit until a cashier confirms its hand-in."""

from __future__ import annotations

import pytest

from domain.hand_ins import SubmitHandIn
from domain.limits import LimitExceeded, LimitKind
from domain.methods import PaymentMethod
from resolvers import hand_ins
from tests.support.backend import Backend
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def test_cash_at_the_limit_of_cash_in_hand_is_refused_until_a_cashier_confirms_it(
    backend: Backend,
) -> None:
    by = await backend.collector()
    assert by.actor is not None
    yesterday = await backend.new_payment(by, PaymentMethod.CASH)
    backend.clock.move(days=1)
    contract = f"SGFDN{next(backend.contracts)}"
    item = await backend.owed(contract)
    room = max(item.amount, yesterday.amount)
    backend.sandbox.change_staff(by.actor.id, daily_limit=room)

    async def refused_limit() -> LimitKind:
        with pytest.raises(LimitExceeded) as refusal:
            await backend.new_payment(
                by, PaymentMethod.CASH, contract_number=contract, items=(item,)
            )
        return refusal.value.kind

    assert await refused_limit() is LimitKind.CASH_IN_HAND
    command = SubmitHandIn(idempotency_key=key(), counted_amount=yesterday.amount)
    submitted = await hand_ins.submit(by, command)
    assert await refused_limit() is LimitKind.CASH_IN_HAND
    cashier = await backend.as_staff("CA001")
    await hand_ins.confirm(cashier, submitted.id, counted_amount=yesterday.amount - 1_000)
    taken = await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=contract, items=(item,)
    )
    assert taken.amount == item.amount
